// Drills with the demo under load. All its servers are killed: who opens the page then, or asks a command, sees what is wrong, since
// when, why and for how many, without scrolling. One is drained and one killed; sessions move to a server that gets more weight.

import { expect, test } from 'vitest';
import { command } from '../support/command.ts';
import { openDashboard } from '../support/dashboard.ts';
import { type RunningDemo, runDemo, visitDemo } from '../support/demo.ts';
import { eventually } from '../support/eventually.ts';
import { needs } from '../support/needs.ts';
import { keepPicture, letHistoryGrow } from '../support/pictures.ts';

const VISITORS = 40;

interface Line {
  readonly text: string;
  readonly bottom: number;
  readonly right: number;
}

/** What stands in the box of what is wrong, and where. */
const LINES = `[...document.querySelectorAll('#trouble li')].map((line) => {
  const { bottom, right } = line.getBoundingClientRect();
  return { text: line.textContent, bottom, right };
})`;

/** The demo with so many visitors, all of whom are counted. */
async function visitedDemo(visitors: number, ...args: readonly string[]): Promise<RunningDemo> {
  const demo = await runDemo('--servers', '4', '--threads', '1', ...args);
  await visitDemo(demo.url, visitors);
  const counted = async (): Promise<boolean> =>
    (await command(['sessions', '--admin', demo.adminUrl])).out.startsWith(
      `pool demo: ${visitors} sessions,`,
    );
  await eventually(counted, { deadlineMs: 60_000, what: () => `${visitors} sessions` });
  await letHistoryGrow();
  return demo;
}

test('all servers killed under load: a page that is opened then, and the commands, say all of it', {
  timeout: 180_000,
}, async ({ skip }) => {
  const demo = await visitedDemo(VISITORS);
  const admin = ['--admin', demo.adminUrl];
  for (const pid of demo.pids.values()) process.kill(pid, 'SIGKILL');
  // it goes on until clients have had errors for a while
  await eventually(
    async () => {
      const { status, out } = await command(['status', '--check', ...admin]);
      return status === 2 && /no server can take .*\n.* requests went wrong /.test(out);
    },
    { deadlineMs: 60_000, what: () => 'clients to get errors' },
  );

  // who came to another server meanwhile, which did not know them, has none until the next log-in
  const { sessions } = JSON.parse((await command(['sessions', '--json', ...admin])).out).pools[0];
  expect(sessions).toBeGreaterThan(VISITORS / 2);
  const why = `no server can take new requests, ${sessions} sessions affected`;
  for (const [width, height, picture] of [
    [1280, 800, 'outage'],
    [390, 844, 'outage-phone'],
  ] as const) {
    const { page, complaints } = await openDashboard(demo.adminUrl, skip, { width, height });
    await page.locator('#trouble li', { hasText: /requests went wrong in/ }).waitFor();
    const lines = (await page.evaluate(LINES)) as readonly Line[];
    const down = lines.filter(({ text }) => /^demo\/[a-d]: down /.test(text));
    expect(lines[0]?.text).toMatch(new RegExp(`^Pool demo: ${why}, since \\d\\d:\\d\\d:\\d\\d$`));
    expect(lines[1]?.text).toMatch(/^Pool demo: \d+ of \d+ requests went wrong in the last .* \(.* %\)$/);
    expect(down).toHaveLength(4);
    for (const { text } of down)
      expect(text).toMatch(/: down \(.*refused.*\), \d+ sessions affected, since \d\d:\d\d:\d\d$/);
    for (const { text, bottom, right } of lines)
      expect([text, bottom <= height, right <= width]).toEqual([text, true, true]);
    expect(await page.evaluate('scrollY')).toBe(0);
    expect(await page.title()).toMatch(/^Clients get errors – /);
    expect(await page.locator('#icon').getAttribute('href')).toBe('/page/icon-failing.svg');
    expect(complaints).toEqual([]);
    await keepPicture(page, picture);
  }

  const { out } = await command(['status', ...admin], { COLUMNS: '80' });
  expect(out).toMatch(new RegExp(`^CLIENTS GET ERRORS: pool demo ${why} since `));
  const events = await command(['events', ...admin]);
  for (const name of demo.pids.keys()) expect(events.out).toMatch(new RegExp(` WARN demo/${name} down: `));
});

test('one server drained and one killed: the rows, the events and what a change would do', {
  timeout: 180_000,
}, async ({ skip }) => {
  const demo = await visitedDemo(VISITORS);
  const size = { width: 1280, height: 800 };
  const { page, complaints } = await openDashboard(demo.adminUrl, skip, size);
  const row = (name: string) => page.locator(`tr[data-server="demo/${name}"]`);
  await command(['drain', 'demo/a', '--admin', demo.adminUrl]);
  await row('a').locator('.state', { hasText: 'draining' }).waitFor();
  process.kill(demo.pids.get('b') ?? 0, 'SIGKILL');
  await page.locator('tr[data-server="demo/b"][data-state=down]').waitFor();
  await page.locator('#trouble li', { hasText: /^demo\/b: down \(.*refused/ }).waitFor();
  await page
    .locator('section.pool .facts, section.pool', { hasText: '4 servers: 1 draining, 1 down' })
    .first()
    .waitFor();
  const events = page.locator('#log .what');
  await events.filter({ hasText: 'mode drain' }).first().waitFor();
  await events.filter({ hasText: 'down' }).first().waitFor();
  await keepPicture(page, 'drain-and-kill');

  await row('d').locator('[data-action=maintenance]').click();
  await page.locator('#change-effect', { hasText: /Predicted: \d+ sessions? moved, \d+ lost/ }).waitFor();
  await keepPicture(page, 'dashboard-confirm');
  await page.locator('#change-cancel').click();
  await page.setViewportSize({ width: 390, height: 844 });
  await keepPicture(page, 'dashboard-phone');
  expect(complaints).toEqual([]);
});

test('more weight for one server: its sessions come to it, and the page says that and why', {
  timeout: 180_000,
}, async ({ skip }) => {
  needs('redis', skip);
  const demo = await visitedDemo(6 * VISITORS, '--architecture', 'home');
  const options = { width: 1280, height: 800, colorScheme: 'dark' } as const;
  const { page, complaints } = await openDashboard(demo.adminUrl, skip, options);
  await command(['weight', 'demo/a', '2', '--admin', demo.adminUrl]);
  await page.locator('#log .what', { hasText: 'weight 2' }).waitFor();
  await page
    .locator('#log .what', { hasText: /\d+ sessions moved to even out the load/ })
    .first()
    .waitFor();
  await page.locator('section.pool', { hasText: 'Rebalancing' }).waitFor();
  await keepPicture(page, 'dashboard-dark');
  expect(complaints).toEqual([]);
});
