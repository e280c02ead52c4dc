// The screen of `holdfast status` with hundreds of servers: what is wrong stays at the top and is not drowned.

import { expect, test } from 'vitest';
import { summarize } from '../../src/admin/summary.ts';
import { textOf } from '../../src/cli/screen.ts';
import { statusLines } from '../../src/cli/status.ts';
import { pool, server, status } from '../admin/page/documents.ts';

const servers = Array.from({ length: 200 }, (_, index) =>
  index % 4 === 3
    ? server(`web-${index}`, { state: 'down', check: 'connection refused' })
    : server(`web-${index}`),
);

const screen = (document: ReturnType<typeof status>, columns: number): readonly string[] =>
  statusLines(document, columns).map((line) => textOf(line, false));

test('of many problems the worst are told and the rest counted; troubled servers stand first', () => {
  const pools = [pool('shop', servers, { recent: { seconds: 60, requests: 100, errors: 50 } })];
  const lines = screen({ ...status(pools), summary: summarize(pools) }, 100);
  expect(lines.slice(0, 12)).toEqual([
    'CLIENTS GET ERRORS: pool shop 50 of 100 requests went wrong in the last minute (50 %)',
    ...[3, 7, 11, 15, 19, 23, 27, 31, 35].map((at) => `degraded: shop/web-${at} down (connection refused)`),
    'and 41 more',
    expect.stringMatching(/: holdfast /),
  ]);
  const rows = lines.filter((line) => line.startsWith('web-')).map((line) => line.split(/ +/, 2));
  expect(rows).toHaveLength(200);
  expect(rows.slice(0, 50).every(([, state]) => state === 'down')).toBe(true);
  expect(rows.slice(50, 53)).toEqual([
    ['web-0', 'up'],
    ['web-1', 'up'],
    ['web-2', 'up'],
  ]);
});

test('of few servers each stays where it is configured', () => {
  const pools = [pool('shop', servers.slice(0, 5))];
  const lines = screen({ ...status(pools), summary: summarize(pools) }, 100);
  const names = lines.filter((line) => line.startsWith('web-')).map((line) => line.split(' ', 1)[0]);
  expect(names).toEqual(['web-0', 'web-1', 'web-2', 'web-3', 'web-4']);
});
