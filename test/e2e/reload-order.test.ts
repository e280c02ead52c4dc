// What a reload changes of servers and listeners that stay holds for them, in whatever order they are written.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { reload, runInside } from '../support/holdfast.ts';
import { answer, scriptedBackend } from '../support/scripted-backend.ts';
import { get, type Reply, talkTo } from '../support/talker.ts';

test('time-outs and keep-alive of a server that stays are those of the reload', async () => {
  const backend = await scriptedBackend({
    '/never': () => undefined,
    '/half': (heard) => void heard.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'),
    '*': answer('ok'),
  });
  const yaml = (pool: string, listener = ''): string => `
threads: 1
listen: [{ address: "127.0.0.1:0"${listener} }]
admin: { address: 127.0.0.1:0 }
pools: { shop: { health: off, passive: off, retry: { attempts: 0 }, ${pool}, servers: ["${backend.url}"] } }
`;
  const holdfast = await runInside(yaml('slowStart: 0s'));
  const idle = (): Promise<number> => holdfast.metric('holdfast_upstream_connections', { state: 'idle' });
  const isOk = async (): Promise<void> => expect((await get(holdfast.port, '/')).body).toBe('ok');
  await isOk();
  await eventually(async () => (await idle()) === 1);
  await reload(holdfast, yaml('keepAlive: { max: 0 }'));
  await isOk();
  await eventually(async () => (await idle()) === 0);

  await reload(holdfast, yaml('keepAlive: { max: 5, idle: 100ms }'));
  await isOk();
  await eventually(async () => (await idle()) === 0);

  await reload(holdfast, yaml('timeouts: { response: 100ms }'));
  const late = await get(holdfast.port, '/never');
  expect([late.status, late.get('x-holdfast-error')]).toEqual([504, 'response-timeout']);
  await isOk();
  await eventually(async () => (await idle()) === 1);

  await reload(holdfast, yaml('timeouts: { idle: 100ms }'));
  const talker = await talkTo(holdfast.port);
  talker.send('GET /half HTTP/1.1\r\nHost: a\r\n\r\n');
  expect(await talker.ended()).not.toBe('open');

  await reload(holdfast, yaml('slowStart: 0s', ', timeouts: { keepAlive: 100ms }'));
  const idler = await talkTo(holdfast.port);
  idler.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect((await idler.reply()).body).toBe('ok');
  expect(await idler.ended()).not.toBe('open');
}, 60_000);

test('listeners that a reload writes in another order keep their own limits, time-outs and counts', async () => {
  const backend = await scriptedBackend({ '*': answer('ok') });
  const narrow = '{ address: "127.0.0.1:0", limits: { headerCount: 3 }, timeouts: { keepAlive: 0s } }';
  const wide = '{ address: "127.0.0.2:0" }';
  const third = '{ address: "127.0.0.3:0" }';
  const yaml = (...listeners: readonly string[]): string => `
threads: 2
listen: [${listeners.join(', ')}]
admin: { address: 127.0.0.1:0 }
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`;
  const holdfast = await runInside(yaml(narrow, wide, third));
  const [narrowPort = 0, widePort = 0] = holdfast.ports;
  const talkers = await Promise.all([talkTo(widePort, '127.0.0.2'), talkTo(widePort, '127.0.0.2')]);
  const open = (listener: string): Promise<number> =>
    holdfast.metric('holdfast_client_connections', { listener });
  const ask = async (host: string, port: number): Promise<Reply> => {
    const talker = await talkTo(port, host);
    talker.send('GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n');
    return talker.reply();
  };
  for (const order of [
    [wide, narrow],
    [third, narrow, wide],
    [narrow, wide],
  ]) {
    await reload(holdfast, yaml(...order));
    expect((await ask('127.0.0.1', narrowPort)).status).toBe(431);
    expect((await ask('127.0.0.2', widePort)).status).toBe(200);
    await eventually(async () => (await open('127.0.0.1:0')) === 0);
    expect(await open('127.0.0.2:0')).toBeGreaterThanOrEqual(talkers.length);
    for (const talker of talkers) {
      talker.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      expect((await talker.reply()).body).toBe('ok');
    }
  }
}, 60_000);
