// Clients that others have written, over TLS: right answers, uploads of both kinds, many requests at once, and one given up in
// the middle of its response, after which the connection goes on.

import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type Backend, httpBackend } from '../../support/backend.ts';
import { whenDone } from '../../support/lifetime.ts';
import { needs, needsPythonModules } from '../../support/needs.ts';
import { type RunningThread, runThread } from '../../support/proxy-thread.ts';

const BODY = Buffer.from(Array.from({ length: 512_000 }, (_, at) => at % 256));
const LARGE = Buffer.alloc(1 << 20, 'holdfast');
const digestOf = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');
const FOUND = {
  large: digestOf(LARGE),
  upload: digestOf(BODY),
  chunked: digestOf(BODY),
  many: true,
  'given up': 'ok',
};

interface Setting extends RunningThread {
  /** Responses that were given up before their end. */
  givenUp(): number;
}

async function setUp(listener: string): Promise<Setting> {
  let givenUp = 0;
  const backend: Backend = await httpBackend('a', (request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://a');
    if (pathname === '/large') response.end(LARGE);
    else if (pathname === '/echo') response.end(request.url);
    else if (pathname === '/endless') {
      response.write('x'.repeat(100_000));
      response.on('close', () => (givenUp += 1));
    } else if (pathname === '/digest') {
      const hash = createHash('sha1');
      request.on('data', (part: Buffer) => hash.update(part));
      request.on('end', () => response.end(hash.digest('hex')));
    } else response.end('ok');
  });
  const running = await runThread(`pools: { web: { health: off, servers: ["${backend.url}"] } }`, listener);
  return { ...running, givenUp: () => givenUp };
}

const run = promisify(execFile);
/** Ends a client by force once it has begun to get its response: by a clock it might not even have asked. */
async function giveUp(client: string, ...args: readonly string[]): Promise<void> {
  const child = spawn(client, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const inClient = (name: string): string => join(import.meta.dirname, name);

function bodyFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-http2-'));
  whenDone(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'body');
  writeFileSync(file, BODY);
  return file;
}

test('httpx of Python', async ({ skip }) => {
  const python = needsPythonModules(['httpx', 'h2'], 'python3-httpx', skip);
  const running = await setUp('tls: { selfSigned: true }');
  const { stdout } = await run(python, [inClient('client.py'), `https://127.0.0.1:${running.port}`]);
  expect(JSON.parse(stdout)).toEqual({ ...FOUND, small: [200, 'HTTP/2', 'ok'] });
  await running.isQuiet();
  await expect.poll(running.givenUp).toBe(1);
});

test('HttpClient of Java', async ({ skip }) => {
  const java = needs('java', skip);
  const running = await setUp('tls: { selfSigned: true }');
  const options = ['-Djdk.internal.httpclient.disableHostnameVerification'];
  const { stdout } = await run(java, [
    ...options,
    inClient('Client.java'),
    `https://127.0.0.1:${running.port}`,
  ]);
  expect(JSON.parse(stdout)).toEqual({ ...FOUND, small: [200, 'HTTP_2', 'ok'] });
  await running.isQuiet();
  await expect.poll(running.givenUp).toBe(1);
});

test('curl, over TLS and by prior knowledge', async ({ skip }) => {
  const curl = needs('curl', skip);
  const body = bodyFile();
  for (const [listener, scheme, how] of [
    ['tls: { selfSigned: true }', 'https', '--http2'],
    ['h2c: true', 'http', '--http2-prior-knowledge'],
  ] as const) {
    const running = await setUp(listener);
    const url = `${scheme}://127.0.0.1:${running.port}`;
    const ask = async (...args: readonly string[]): Promise<string> =>
      (await run(curl, ['-sk', how, ...args], { maxBuffer: 1 << 24 })).stdout;
    expect(await ask('-w', ' %{http_version}', `${url}/small`)).toBe('ok 2');
    expect(digestOf(Buffer.from(await ask(`${url}/large`)))).toBe(digestOf(LARGE));
    expect(await ask('--data-binary', `@${body}`, `${url}/digest`)).toBe(digestOf(BODY));
    await giveUp(curl, '-skN', how, `${url}/endless`);
    await running.isQuiet();
    await expect.poll(running.givenUp).toBe(1);
  }
});

test('nghttp: an upload, trailers, and many streams whose windows are small', async ({ skip }) => {
  const nghttp = needs('nghttp', skip);
  const body = bodyFile();
  const running = await setUp('h2c: true');
  const url = `http://127.0.0.1:${running.port}`;
  const ask = async (...args: readonly string[]): Promise<string> =>
    (await run(nghttp, [...args], { maxBuffer: 1 << 26 })).stdout;
  expect(await ask('-d', body, `${url}/digest`)).toBe(digestOf(BODY));
  expect(await ask('-d', body, '--trailer', 'x-end: 1', '--no-content-length', `${url}/digest`)).toBe(
    digestOf(BODY),
  );
  const many = await ask('-w10', '-W12', '-m', '20', `${url}/large`);
  expect(many.length).toBe(20 * LARGE.length);
  await running.isQuiet();
});
