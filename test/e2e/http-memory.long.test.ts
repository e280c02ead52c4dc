// What the process weighs: after its start, and while far more than that flows through it.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';
import { residentMb } from '../support/quiet.ts';
import { talkTo } from '../support/talker.ts';

const START_MB_MAX = 150;
const GROWTH_MB_MAX = 60;
/** The long form of this is TRANSFER_GB=10. */
const TRANSFER_GB = Number(process.env['TRANSFER_GB'] ?? 1);
const BLOCK = Buffer.alloc(256 * 1024, 'x');

test('memory after the start is under 150 MB with two threads, and a transfer of gigabytes adds little', {
  timeout: 300_000,
}, async () => {
  const bytes = TRANSFER_GB * 1024 ** 3;
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-length': bytes });
    let left = bytes;
    const more = (): void => {
      while (left > 0) {
        left -= BLOCK.length;
        if (!response.write(BLOCK)) return;
      }
      response.end();
    };
    response.on('drain', more);
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    server.closeAllConnections();
    server.close();
  });
  const yaml = `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 2
pools: { p: { servers: [{ url: "http://127.0.0.1:${(server.address() as AddressInfo).port}" }] } }
`;
  // A first start compiles and keeps the result; what counts is every start after it.
  await (await runHoldfast(yaml)).stop();
  const holdfast = await runHoldfast(yaml);
  const startMb = residentMb(holdfast);
  const talker = await talkTo(holdfast.port);
  let read = 0;
  let peakMb = startMb;
  let measuredAt = 0;
  talker.socket.removeAllListeners('data');
  talker.socket.on('data', (part: Buffer) => {
    read += part.length;
    if (read - measuredAt < 50_000_000) return;
    measuredAt = read;
    peakMb = Math.max(peakMb, residentMb(holdfast));
  });
  talker.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => read > bytes || null, {
    deadlineMs: 280_000,
    what: () => `${bytes} bytes, got ${read}`,
  });
  console.log(
    `RSS ${startMb.toFixed(0)} MB after the start, at most ${peakMb.toFixed(0)} MB over ${TRANSFER_GB} GB`,
  );
  expect(startMb).toBeLessThan(START_MB_MAX);
  expect(peakMb - startMb).toBeLessThan(GROWTH_MB_MAX);
});
