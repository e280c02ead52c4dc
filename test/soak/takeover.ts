// New connections as fast as they are served, one request each, through many replacements of the process: none may be
// reset, refused or left without its reply.
//
//   node test/soak/takeover.ts [--takeovers 8] [--at-once 100] [--host 127.0.0.1]        exit 1 when one was

import { parseArgs } from 'node:util';
import { cannedBackend } from '../support/backend.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { forProgram } from '../support/lifetime.ts';
import { newcomers } from '../support/newcomers.ts';

const BETWEEN_MS = 1000;

const { values } = parseArgs({
  options: { takeovers: { type: 'string' }, 'at-once': { type: 'string' }, host: { type: 'string' } },
});
const takeovers = Number(values.takeovers ?? 8);
const atOnce = Number(values['at-once'] ?? 100);
const host = values.host ?? '127.0.0.1';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const report = await forProgram(async () => {
  const backend = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  const yaml = `
listen: ${host}:0
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 5s }
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`;
  let running = await runHoldfast(yaml, { threads: 2 });
  const beganMs = performance.now();
  const clients = newcomers(running.port, atOnce, host);
  for (let turn = 0; turn < takeovers; turn += 1) {
    await pause(BETWEEN_MS);
    const old = running;
    running = await runHoldfast(yaml, { threads: 2, args: ['--takeover', old.adminUrl] });
    await old.exited();
  }
  await pause(BETWEEN_MS);
  await clients.stop();
  const seconds = (performance.now() - beganMs) / 1000;
  return {
    takeovers,
    atOnce,
    served: clients.served(),
    perSecond: Math.round(clients.served() / seconds),
    failures: clients.failures,
  };
});
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
process.exit(report.failures.length === 0 ? 0 : 1);
