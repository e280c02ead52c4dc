// What the dashboard shows in a real browser is what the API says, and the page asks nobody else for anything.

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { dashboardSetup, loadWhileTesting, openDashboard, poolYaml } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import type { StatusDocument } from '../support/holdfast.ts';
import { changeServer } from '../support/holdfast.ts';

interface Shown {
  readonly sessions: string;
  readonly skew: string;
  readonly servers: readonly string[];
}

/** Read in the page: text of the figures as people see them. */
const READ_PAGE = `({
  sessions: document.querySelector('[data-figure=Sessions]').textContent,
  skew: document.querySelector('.gauge .figure').textContent + ' ' + document.querySelector('.gauge .floor-text').textContent,
  servers: [...document.querySelectorAll('tbody tr')].map((row) => [
    row.querySelector('.name').textContent,
    row.querySelector('.state').textContent,
    row.querySelector('.sessions-figure').textContent,
    row.querySelector('[data-action=weight]').textContent,
    row.querySelector('[data-label="5xx/s"]').textContent,
    row.querySelector('[aria-pressed=true]').textContent,
  ].join(' ')),
})`;

function expected(status: StatusDocument): Shown {
  const pool = status.pools[0]!;
  const { ratio, floor } = pool.skew;
  return {
    sessions: String(pool.sessions),
    skew: `${ratio?.toFixed(2)} floor ${floor?.toFixed(2)}`,
    servers: pool.servers.map(
      ({ name, state, sessions, weight }) => `${name} ${state} ${sessions} ×\u202f${weight} 0 Ready`,
    ),
  };
}

test('figures equal the API, rates and latency follow the load, nothing is complained about', async ({
  skip,
}) => {
  const { holdfast, users } = await dashboardSetup({ users: 30 });
  const { page, complaints, requests } = await openDashboard(holdfast.adminUrl, skip);
  loadWhileTesting(users, 100);

  // at rest as far as sessions go: the same figures on both sides
  await eventually(
    async () => {
      const shown = (await page.evaluate(READ_PAGE)) as Shown;
      return JSON.stringify(shown) === JSON.stringify(expected(await holdfast.status()));
    },
    { what: () => 'the page to agree with the API' },
  );

  const rate = page.locator('[data-figure="Requests/s"]');
  await eventually(async () => Math.abs(Number(await rate.textContent()) - 100) <= 15, {
    deadlineMs: 15_000,
    what: () => 'a rate of about 100',
  });
  expect(await page.locator('[data-figure=p99]').textContent()).toMatch(/^[\d.]+ (µs|ms)$/);
  const rates = await page.locator('tbody [data-label="Requests/s"]').allTextContents();
  expect(Math.abs(rates.reduce((sum, text) => sum + Number(text), 0) - 100)).toBeLessThan(20);
  expect(await page.locator('.canvas canvas').count()).toBe(5);
  expect(await page.locator('.canvas').first().getAttribute('aria-label')).toMatch(/now: a 10, b 10, c 10$/);

  expect([...new Set(requests)].filter((path) => !path.startsWith('/page/')).sort()).toEqual([
    '/',
    '/api/events',
    '/api/events/recent',
    '/api/history',
    '/page.css',
    '/page.js',
  ]);
  expect(complaints).toEqual([]);
}, 60_000);

test('a server that dies shows as down, with its sessions as moved and lost', async ({ skip }) => {
  const { holdfast, servers, users } = await dashboardSetup({ users: 30 });
  const { page, complaints } = await openDashboard(holdfast.adminUrl, skip);
  loadWhileTesting(users, 100);
  await servers[1]!.close();
  await page.locator('tr[data-server="shop/b"][data-state=down]').waitFor();
  await page.locator('[data-figure=Lost]', { hasText: /^10$/ }).waitFor();
  expect(await page.locator('[data-figure=Moved]').textContent()).toBe('10');
  expect(await page.locator('[data-movement=Moved]').textContent()).toBe('failure 10');
  expect(await page.locator('[data-movement=Lost]').textContent()).toBe('failure 10');
  expect(await page.locator('[data-movement=Rebalancing]').isVisible()).toBe(false);
  expect(await page.locator('.condition').textContent()).toBe('3 servers: 1 down');
  const log = await page.locator('#log .what').allTextContents();
  expect(log).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^is down: /),
      '10 sessions lost with their state',
      '10 sessions moved: their home failed',
    ]),
  );
  expect(complaints).toEqual([]);
}, 60_000);

test('who opens the page in the middle of an outage sees that there is one, since when, and why', async ({
  skip,
}) => {
  const { holdfast, servers, users } = await dashboardSetup({ users: 30, more: 'queue: { whenDown: 0s }' });
  for (const server of servers) await server.close();
  await eventually(async () => (await fetch(`${holdfast.adminUrl}/readyz`)).status === 503);
  // Not before: a session that moves while the first server is down and the last is not has lost its state, and does not
  // count until its user has come back.
  loadWhileTesting(users, 100);
  for (const [width, height] of [
    [1280, 800],
    [390, 844],
  ] as const) {
    const { page, complaints } = await openDashboard(holdfast.adminUrl, skip, { width, height });
    await page.locator('#trouble li', { hasText: /requests went wrong in/ }).waitFor();
    expect(await page.title()).toMatch(/^Clients get errors – Holdfast on /);
    expect(await page.locator('#icon').getAttribute('href')).toBe('/page/icon-failing.svg');
    const [first] = await page.locator('#trouble li').allTextContents();
    expect(first).toMatch(
      /^Pool shop: no server can take new requests, 30 sessions affected, since \d\d:\d\d:\d\d$/,
    );
    const bottoms = (await page.evaluate(
      "[...document.querySelectorAll('#trouble li')].map((line) => line.getBoundingClientRect().bottom)",
    )) as number[];
    expect(bottoms).toHaveLength(5);
    expect(Math.max(...bottoms)).toBeLessThan(height);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    expect(await page.locator('#log .what').allTextContents()).toContainEqual(
      expect.stringMatching(/^is down: /),
    );
    expect(await page.locator('.why').first().textContent()).toMatch(/^since \d\d:\d\d:\d\d: /);
    expect(complaints).toEqual([]);
  }
}, 60_000);

test('a server that a reload removes: its sessions show as lost, though it is gone from the table', async ({
  skip,
}) => {
  const { holdfast, servers, users } = await dashboardSetup({ users: 30 });
  const { page, complaints } = await openDashboard(holdfast.adminUrl, skip);
  loadWhileTesting(users, 100);
  writeFileSync(holdfast.configFile, poolYaml([servers[0]!, servers[2]!]));
  holdfast.child.kill('SIGHUP');
  await page.locator('[data-movement=Lost]', { hasText: /^removed 10$/ }).waitFor();
  expect(await page.locator('[data-figure=Lost]').textContent()).toBe('10');
  expect(await page.locator('tbody tr').count()).toBe(2);
  expect(await page.locator('#log .what').allTextContents()).toContain(
    '10 sessions lost with a removed server',
  );
  expect(complaints).toEqual([]);
}, 60_000);

test('what the rebalancer is at, why, and its moves show as they happen', async ({ skip }) => {
  const { holdfast, servers } = await dashboardSetup({
    users: 120,
    state: 'shared',
    more: 'rebalance: { mode: on, start: 1.2, stop: 1.1, budget: 20%, every: 1s }',
  });
  for (const { sessions } of servers) for (const id of sessions) servers[0]!.sessions.add(id);
  for (const server of servers) Object.assign(server, { sessions: servers[0]!.sessions });
  const { page, complaints } = await openDashboard(holdfast.adminUrl, skip);
  const words = page.locator('[data-movement=Rebalancing]');
  await eventually(async () =>
    /^idle: ratio 1\.000 is below start 1\.2$/.test((await words.textContent()) ?? ''),
  );
  await changeServer(holdfast, 'shop/a', { weight: 4 });
  await page.locator('[data-movement=Rebalancing][data-phase=running]').waitFor();
  expect(await words.textContent()).toMatch(/^running: ratio 2\.000 is not below start 1\.2/);
  const done =
    /^idle: even enough: ratio \S+ is below stop 1\.1; (\d+) sessions moved, \d+ in the latest cycle$/;
  await eventually(async () => done.test((await words.textContent()) ?? ''), { deadlineMs: 15_000 });
  const moved = done.exec((await words.textContent()) ?? '')?.[1];
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'rebalance' })).toBe(Number(moved));
  expect(await page.locator('[data-movement=Moved]').textContent()).toBe(`rebalance ${moved}`);
  expect(await page.locator('[data-movement=Lost]').isVisible()).toBe(false);
  const log = await page.locator('#log .what').allTextContents();
  expect(log).toEqual(
    expect.arrayContaining([
      `${moved} sessions moved to even out the load`,
      expect.stringMatching(/^rebalancing running: ratio 2\.000/),
      expect.stringMatching(/^rebalancing idle: even enough/),
    ]),
  );
  expect(complaints).toEqual([]);
}, 60_000);
