// What is counted of the bytes of one exchange: all that came and all that went, however it came.

import { expect, test } from 'vitest';
import { Counter } from '../../src/shared/stripe.ts';
import { eventually } from '../support/eventually.ts';
import { runThread } from '../support/proxy-thread.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import { talkTo } from '../support/talker.ts';

const UPGRADE = 'GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

async function bytesOfTunnel(early: string, late: string): Promise<readonly number[]> {
  const server = await scriptedBackend({ '*': (heard) => heard.send(`${SWITCHED}hello`) });
  const running = await runThread(`pools: { p: { health: off, servers: ["${server.url}"] } }`);
  const client = await talkTo(running.port);
  client.send(UPGRADE + early);
  await client.until('hello');
  if (late !== '') client.send(late);
  const heard = await server.hears('/');
  await eventually(() => heard.body() === early + late);
  client.socket.end();
  heard.socket.end();
  await running.isQuiet();
  return [
    running.thread.own.counter(0, Counter.requestBytes),
    running.thread.own.counter(0, Counter.responseBytes),
  ];
}

test('through a tunnel: what the client sends before the answer counts as what it sends after', async () => {
  const [sent = 0, received] = await bytesOfTunnel('', '');
  expect(await bytesOfTunnel('ahead', '')).toEqual([sent + 5, received]);
  expect(await bytesOfTunnel('ah', 'ead')).toEqual([sent + 5, received]);
});
