// More busy connections than the event loop takes at once (1024): timers and immediates wait for seconds, and the thread that
// works as hard as it can must not be taken for one that hangs.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';

const CONNECTIONS = 4000;
const SECONDS = 10;

test('a full thread is ready, and is not ended', async ({ skip }) => {
  const h2load = needs('h2load', skip);
  // our own replies: no server is slower than the thread
  const holdfast = await runHoldfast(`
threads: 1
listen: [{ address: 127.0.0.1:0, redirectToHttps: true, limits: { connections: ${2 * CONNECTIONS} } }]
admin: { address: 127.0.0.1:0 }
pools: { p: { health: off, servers: [{ name: a, url: "http://127.0.0.1:1" }] } }
`);
  const options = `--h1 -t1 -c${CONNECTIONS} -m50 -D${SECONDS}`;
  const shell = `ulimit -n $(ulimit -Hn); exec ${h2load} ${options} http://127.0.0.1:${holdfast.port}/`;
  const load = promisify(execFile)('sh', ['-c', shell]);
  let isOver = false;
  void load.finally(() => {
    isOver = true;
  });
  const looks: number[] = [];
  while (!isOver) {
    looks.push((await fetch(`${holdfast.adminUrl}/readyz`)).status);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const { stdout } = await load;
  expect(stdout).toMatch(/ 0 failed, 0 errored, 0 timeout/);
  expect(looks.filter((status) => status !== 200)).toEqual([]);
  expect(await holdfast.metric('holdfast_worker_restarts_total')).toBe(0);
});
