// A thread that answers many first messages of clients in one turn is seen to run: whoever is silent for long is ended.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { runThread } from '../support/proxy-thread.ts';
import { firstMessage, waitingClient } from '../support/tls-load.ts';

const CLIENTS = 200;

test('each first message of a client is a heartbeat, also where no handshake comes to its end', async () => {
  const { thread, port } = await runThread(
    'pools: { web: { servers: [http://127.0.0.1:1] } }',
    'tls: { selfSigned: true, handshakeTimeout: 30s }',
  );
  const hello = await firstMessage();
  let answered = 0;
  const sockets = await Promise.all(
    Array.from({ length: CLIENTS }, () =>
      waitingClient(port, () => {
        answered += 1;
      }),
    ),
  );
  // they are counted where they are accepted
  await eventually(() => thread.own.clientConnections(0) >= CLIENTS);
  const before = thread.own.beats;
  for (const socket of sockets) socket.write(hello);
  await eventually(() => answered === CLIENTS);
  expect(thread.own.beats - before).toBeGreaterThanOrEqual(CLIENTS);
});
