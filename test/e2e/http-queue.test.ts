// A server at its connection limit: requests wait in order, for a time, in a queue of a size.

import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { answer, type Heard, type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { get, type Reply, type Talker, talkTo } from '../support/talker.ts';

let holdfast: Holdfast;
let threaded: Holdfast;
let backend: ScriptedBackend;
let other: ScriptedBackend;
let busy = 0;
let busiest = 0;

forFile(async () => {
  backend = await scriptedBackend({
    '/held': () => undefined,
    '/short/held': () => undefined,
    '/sticky/held': () => undefined,
    '/sticky/who': answer('a'),
    '/counted': (heard) => {
      busy += 1;
      busiest = Math.max(busiest, busy);
      setTimeout(() => {
        busy -= 1;
        answer('ok')(heard);
      }, 3);
    },
  });
  other = await scriptedBackend({ '/sticky/who': answer('b'), '/sticky/held': () => undefined });
  holdfast = await runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
routes:
  - { path: /short, pool: short }
  - { path: /sticky, pool: sticky }
  - { path: /held, pool: p }
  - { pool: free }
pools:
  p: { health: off, queue: { size: 20, timeout: 10s }, servers: [{ url: ${backend.url}, maxConnections: 2 }] }
  free: {health: off, servers: [{ url: ${backend.url} }] }
  short: { health: off, queue: { size: 2, timeout: 400ms }, servers: [{ url: ${backend.url}, maxConnections: 1 }] }
  sticky:
    health: off
    sticky: { mode: header-hash, header: x-user }
    queue: { size: 20, timeout: 10s }
    servers: [{ url: ${backend.url}, name: a, maxConnections: 1 }, { url: ${other.url}, name: b, maxConnections: 1 }]
`);
  threaded = await runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 2
pools:
  p: { health: off, queue: { size: 1000, timeout: 15s }, servers: [{ url: ${backend.url}, maxConnections: 3 }] }
`);
});

/** Asks for a target and waits until the balancer has the request: at the server, or in the queue. */
async function hold(path: string, lines = ''): Promise<{ talker: Talker; reply: Promise<Reply> }> {
  const talker = await talkTo(holdfast.port);
  talker.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
  return { talker, reply: talker.reply({ deadlineMs: 12_000 }) };
}

const release = (heard: Heard): void => answer(heard.target)(heard);

describe('a server at its connection limit', () => {
  test('gets the waiting requests in the order they came', async () => {
    await hold('/held?1');
    await hold('/held?2');
    const first = [await backend.hears('/held?1'), await backend.hears('/held?2')];
    const order = ['/held?3', '/held?4', '/held?5', '/held?6'];
    const waiting: Promise<Reply>[] = [];
    for (const path of order) {
      waiting.push((await hold(path)).reply);
      // Each has to be in the queue before the next is sent.
      await get(holdfast.port, '/other/sync');
    }
    expect(backend.heard.filter(({ target }) => order.includes(target))).toEqual([]);
    first.forEach(release);
    for (const path of order) release(await backend.hears(path));
    expect((await Promise.all(waiting)).map(({ body }) => body)).toEqual(order);
    const seen = backend.heard.map(({ target }) => target).filter((target) => order.includes(target));
    expect(seen).toEqual(order);
  });

  test('makes a request wait for the time of the queue, then 503', async () => {
    const holder = await hold('/short/held?1');
    await backend.hears('/short/held?1');
    const reply = await (await hold('/short/timed-out')).reply;
    expect([reply.status, reply.get('x-holdfast-error'), reply.get('retry-after')]).toEqual([
      503,
      'queue-timeout',
      '1',
    ]);
    holder.reply.catch(() => undefined);
    holder.talker.socket.destroy();
  });

  test('refuses with 503 what the queue has no room for', async () => {
    const holder = await hold('/short/held?2');
    const held = await backend.hears('/short/held?2');
    const [first, second] = [await hold('/short/1'), await hold('/short/2')];
    await get(holdfast.port, '/other/sync');
    const reply = await (await hold('/short/3')).reply;
    expect([reply.status, reply.get('x-holdfast-error')]).toEqual([503, 'queue-full']);
    release(held);
    expect([(await first.reply).status, (await second.reply).status, (await holder.reply).status]).toEqual([
      200, 200, 200,
    ]);
  });

  test('forgets a waiting request whose client went away', async () => {
    const holder = await hold('/short/held?3');
    const held = await backend.hears('/short/held?3');
    const gone = await hold('/short/gone');
    gone.reply.catch(() => undefined);
    gone.talker.socket.destroy();
    const waiting = await hold('/short/patient');
    await eventually(async () => (await holdfast.metric('holdfast_client_connections')) === 2 || null);
    release(held);
    expect((await waiting.reply).status).toBe(200);
    expect((await holder.reply).status).toBe(200);
    expect(backend.heard.some(({ target }) => target === '/short/gone')).toBe(false);
    waiting.talker.socket.destroy();
    holder.talker.socket.destroy();
  });

  test('does not make requests wait that are at home on another', async () => {
    const [onA, onB] = await usersOf(['a', 'b']);
    const busyA = await hold('/sticky/held?a', onA);
    const busyB = await hold('/sticky/held?b', onB);
    const [heldA, heldB] = [await backend.hears('/sticky/held?a'), await other.hears('/sticky/held?b')];
    const waitingA = await hold('/sticky/waits', onA);
    await get(holdfast.port, '/other/sync');
    const waitingB = await hold('/sticky/goes', onB);
    await get(holdfast.port, '/other/sync');
    release(heldB);
    expect((await waitingB.reply).status).toBe(200);
    expect(backend.heard.some(({ target }) => target === '/sticky/waits')).toBe(false);
    release(heldA);
    expect((await waitingA.reply).status).toBe(200);
    expect([(await busyA.reply).status, (await busyB.reply).status]).toEqual([200, 200]);
  });

  test('never gets more than that, also from two threads', async () => {
    const clients = await Promise.all(Array.from({ length: 40 }, () => talkTo(threaded.port)));
    await Promise.all(
      clients.map(async (client) => {
        for (let index = 0; index < 25; index += 1) {
          client.send('GET /counted HTTP/1.1\r\nHost: a\r\n\r\n');
          expect((await client.reply({ deadlineMs: 15_000 })).status).toBe(200);
        }
      }),
    );
    expect(busiest).toBe(3);
  });
});

/** For each of those servers of the pool `sticky`: the header lines of a user who is at home there. */
async function usersOf(names: readonly string[]): Promise<string[]> {
  const lines = new Map<string, string>();
  for (let user = 0; lines.size < names.length; user += 1) {
    const line = `X-User: u${user}\r\n`;
    const { body } = await get(holdfast.port, '/sticky/who', line);
    if (!lines.has(body)) lines.set(body, line);
  }
  return names.map((name) => lines.get(name) ?? '');
}
