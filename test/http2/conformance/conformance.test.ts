// What RFC 9113, 7541, 8441 and 9218 ask of a server, with frames and header blocks that others have made (Python's
// hyperframe and hpack): cases.py holds the table.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { echo, httpBackend } from '../../support/backend.ts';
import { needsPythonHttp2 } from '../../support/needs.ts';
import { runThread } from '../../support/proxy-thread.ts';

const CASES = fileURLToPath(new URL('cases.py', import.meta.url));
const CASES_LEAST = 190;

interface Result {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
}

function isMet({ expected, seen }: Result): boolean {
  if (expected === 'closed') return seen === 'closed' || seen.startsWith('goaway');
  return expected.split('|').includes(seen);
}

test('every case ends as the RFCs say, and nothing is left of it', async ({ skip }) => {
  const python = needsPythonHttp2(skip);
  const answer = echo('a');
  const backend = await httpBackend('a', (request, response) => {
    // a request that has to be under way when the next frame comes
    if (request.headers['x-wait'] === undefined) answer(request, response);
  });
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true, http2: { resets: 1000/1s }',
  );
  const { stdout } = await promisify(execFile)(python, [CASES, String(running.port)]);
  const results = stdout
    .trim()
    .split('\n')
    .map((line): Result => JSON.parse(line));
  expect(results.length).toBeGreaterThan(CASES_LEAST);
  expect(new Set(results.map(({ name }) => name)).size).toBe(results.length);
  expect(results.filter((result) => !isMet(result))).toEqual([]);
  await running.isQuiet();
});
