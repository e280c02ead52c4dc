// Pauses to collect garbage, as data-plane threads count them.

import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { observeGcPauses } from '../../src/run/gc-pauses.ts';
import type { GcKind } from '../../src/shared/stripe.ts';
import { cannedBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runInside } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options: { readonly type: GcKind }) => void;

test('each collection is counted by its kind, in seconds', async () => {
  const { promise: isCounted, resolve } = Promise.withResolvers<void>();
  const counted = new Map<GcKind, number>();
  const beganMs = performance.now();
  observeGcPauses({
    observeGcPause(kind, seconds) {
      counted.set(kind, (counted.get(kind) ?? 0) + seconds);
      if (counted.size === 2) resolve();
    },
  });
  collect({ type: 'minor' });
  collect({ type: 'major' });
  await isCounted;
  const seconds = [...counted.values()].reduce((sum, each) => sum + each);
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThan((performance.now() - beganMs) / 1000);
});

test('a data-plane thread counts its own', async () => {
  const backend = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  const yaml = `listen: 127.0.0.1:0\nadmin: { address: "127.0.0.1:0" }\npools: { shop: { servers: ["${backend.url}"], health: off } }`;
  const holdfast = await runInside(yaml, { threads: 1 });
  const socket = connect(holdfast.port, '127.0.0.1');
  whenDone(() => socket.destroy());
  socket.on('data', () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
  socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const count = await eventually(
    async () => (await holdfast.metric('holdfast_gc_pause_seconds_count', { kind: 'minor' })) || null,
    { what: () => 'a pause' },
  );
  expect(await holdfast.metric('holdfast_gc_pause_seconds_sum', { kind: 'minor' })).toBeGreaterThan(0);
  expect(count).toBeGreaterThan(0);
});
