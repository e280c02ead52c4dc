// A thread that answers many first messages of clients in one turn is seen to run: whoever is silent for long is ended.

import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { whenDone } from '../support/lifetime.ts';
import { runThread } from '../support/proxy-thread.ts';
import { firstMessage } from '../support/tls-load.ts';

const CLIENTS = 200;

test('each first message of a client is a heartbeat, also where no handshake comes to its end', async () => {
  const { thread, port } = await runThread(
    'pools: { web: { servers: [http://127.0.0.1:1] } }',
    'tls: { selfSigned: true, handshakeTimeout: 30s }',
  );
  const hello = await firstMessage();
  let answered = 0;
  const sockets = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const socket = connect(port, '127.0.0.1');
      whenDone(() => socket.destroy());
      socket.on('error', () => undefined);
      socket.once('data', () => {
        answered += 1;
      });
      await once(socket, 'connect');
      return socket;
    }),
  );
  // they are counted where they are accepted
  await eventually(() => thread.own.clientConnections(0) >= CLIENTS);
  const before = thread.own.beats;
  for (const socket of sockets) socket.write(hello);
  await eventually(() => answered === CLIENTS);
  expect(thread.own.beats - before).toBeGreaterThanOrEqual(CLIENTS);
});
