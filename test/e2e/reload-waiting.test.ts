// Requests that wait for a server when a reload comes are served by the servers that it brings.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { type Holdfast, reload, runInside } from '../support/holdfast.ts';
import { answer, scriptedBackend } from '../support/scripted-backend.ts';
import { get, type Reply, talkTo } from '../support/talker.ts';

const WAIT_MS = 20_000;

/** Asks, and resolves once the request waits in the queue; `reply` then has the answer. */
async function askAndWait(holdfast: Holdfast, path: string, lines = ''): Promise<{ reply: Promise<Reply> }> {
  const before = await holdfast.metric('holdfast_queued_requests_total');
  const talker = await talkTo(holdfast.port);
  talker.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
  const reply = talker.reply({ deadlineMs: WAIT_MS });
  await eventually(async () => (await holdfast.metric('holdfast_queued_requests_total')) > before);
  return { reply };
}

test('a server that a reload adds, or gives another address, serves who waits', async () => {
  const backend = await scriptedBackend({ '/held': () => undefined, '*': answer('served') });
  const gone = `http://127.0.0.1:${await freePort()}`;
  const yaml = (servers: string): string => `
threads: 1
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    health: off
    queue: { whenDown: 20s, timeout: 20s }
    sticky: { mode: cookie-pin, secret: abcdefghijklmnopqrstuvwxyz012345 }
    state: local
    servers: [${servers}]
`;
  const away = yaml(`{ name: a, url: "${gone}" }`);
  const holdfast = await runInside(away);
  const moved = await askAndWait(holdfast, '/moved');
  await reload(holdfast, yaml(`{ name: a, url: "${backend.url}" }`));
  expect((await moved.reply).body).toBe('served');

  await reload(holdfast, away);
  const added = await askAndWait(holdfast, '/added');
  await reload(holdfast, yaml(`{ name: a, url: "${gone}" }, { name: b, url: "${backend.url}" }`));
  expect((await added.reply).body).toBe('served');

  // one that waits for a place at its home gets another home when that one is removed
  const full = yaml(`{ name: a, url: "${backend.url}", maxConnections: 1 }`);
  await reload(holdfast, full);
  const first = await get(holdfast.port, '/first');
  const cookie = `Cookie: ${first.get('set-cookie')?.split(';')[0]}\r\n`;
  const holder = await talkTo(holdfast.port);
  holder.send(`GET /held HTTP/1.1\r\nHost: a\r\n${cookie}\r\n`);
  await backend.hears('/held');
  const queued = await askAndWait(holdfast, '/queued', cookie);
  await reload(holdfast, yaml(`{ name: c, url: "${backend.url}" }`));
  expect((await queued.reply).body).toBe('served');
}, 60_000);
