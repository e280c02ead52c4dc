// `holdfast events` and `status --check` against a running balancer: what happened, who did it, how it is.

import { expect, test } from 'vitest';
import { eventLine } from '../../src/cli/events.ts';
import type { HistoryDocument } from '../../src/control/history.ts';
import { httpBackend } from '../support/backend.ts';
import { commandInside, startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { runInside } from '../support/holdfast.ts';
import { plainClient } from '../support/plain-client.ts';

test('a line for each event: when, how bad, where, what, by whom', () => {
  const now = new Date(2026, 10, 26, 23, 0, 0).getTime();
  const at = new Date(2026, 10, 26, 22, 4, 39).toISOString();
  const verdict = {
    type: 'verdict',
    at,
    number: 1,
    pool: 'shop',
    server: 'b',
    to: 'down',
    reason: 'connection refused',
  };
  expect(eventLine(verdict, now)).toBe('22:04:39 WARN shop/b down: connection refused');
  expect(eventLine({ ...verdict, to: 'up', reason: '' }, now)).toBe('22:04:39 INFO shop/b up');
  const drained = {
    type: 'server',
    at,
    number: 1,
    pool: 'shop',
    server: 'b',
    mode: 'drain',
    by: 'the page from 10.0.0.7',
  };
  expect(eventLine(drained, now)).toBe('22:04:39 INFO shop/b mode drain (by the page from 10.0.0.7)');
  const refused = { type: 'reload', at, number: 3, ok: false, code: 'conflict', message: 'no pool' };
  expect(eventLine(refused, now)).toBe('22:04:39 ERROR reload refused: no pool');
  expect(eventLine({ ...refused, message: 'f:1:1: a\nf:2:1: b' }, now)).toBe(
    '22:04:39 ERROR reload refused: f:1:1: a; f:2:1: b',
  );
  const reloaded = {
    type: 'reload',
    at,
    number: 1,
    ok: true,
    revision: 2,
    changes: ['pool a is new', 'b is gone'],
  };
  expect(eventLine(reloaded, now)).toBe('22:04:39 INFO reload, revision 2: pool a is new; b is gone');
  expect(eventLine(verdict, now + 86_400_000)).toBe('Nov 26 22:04:39 WARN shop/b down: connection refused');
});

test('events of before and as they come, history, and how it is', async () => {
  const a = await httpBackend('a');
  const b = await httpBackend('b');
  const holdfast = await runInside(`
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    health: { interval: 200ms, timeout: 20s, fall: 1, rise: 1 }
    queue: { whenDown: 0s }
    servers: [{ name: a, url: "${a.url}" }, { name: b, url: "${b.url}" }]
`);
  const admin = ['--admin', holdfast.adminUrl];
  expect(await commandInside(['status', '--check', ...admin])).toEqual({
    status: 0,
    out: 'all well\n',
    err: '',
  });
  const following = startCommand(['events', '--follow', ...admin]);
  await commandInside(['drain', 'shop/a', ...admin]);
  await eventually(() => following.out().includes('shop/a mode drain (by the command from 127.0.0.1)'));
  await commandInside(['ready', 'shop/a', ...admin]);

  await b.close();
  await eventually(() => /WARN shop\/b down: /.test(following.out()));
  const degraded = await commandInside(['status', '--check', ...admin]);
  expect([degraded.status, degraded.out]).toEqual([
    1,
    expect.stringMatching(/^degraded: shop\/b down \(.+\) since \d/),
  ]);

  await a.close();
  await eventually(() => /WARN shop\/a down: /.test(following.out()));
  const client = plainClient(holdfast.port);
  for (let asked = 0; asked < 5; asked += 1) expect((await client.ask('GET', '/')).status).toBe(503);
  await eventually(async () => {
    const failing = await commandInside(['status', '--check', ...admin]);
    return failing.status === 2 && failing.out.includes('5 of 5 requests went wrong');
  });
  const whole = await commandInside(['status', ...admin]);
  expect(whole.out).toMatch(/^CLIENTS GET ERRORS: pool shop no server can take new requests since \d/);

  const kept = await commandInside(['events', ...admin]);
  expect(kept.out).toBe(following.out());
  const answer = await fetch(`${holdfast.adminUrl}/api/history`);
  const history = (await answer.json()) as HistoryDocument;
  expect(history).toMatchObject({ pools: [{ name: 'shop' }] });
  const errors = history.pools[0]?.errorRate ?? [];
  expect(Math.max(...errors.map(Number))).toBeGreaterThan(0);
  await holdfast.stop();
  await eventually(() => following.err().includes('the events have ended; asking again'));
  const gone = await commandInside(['status', '--check', ...admin]);
  expect([gone.status, gone.err]).toEqual([2, expect.stringContaining('nothing listens there')]);
});
