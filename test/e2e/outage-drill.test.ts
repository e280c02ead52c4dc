// The outage drill: the demo under load, all its servers killed. Who opens the page then, or asks a command, sees what is wrong, since
// when, why and for how many, without scrolling.

import { expect, test } from 'vitest';
import { command } from '../support/command.ts';
import { openDashboard } from '../support/dashboard.ts';
import { runDemo, visitDemo } from '../support/demo.ts';
import { eventually } from '../support/eventually.ts';

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

test('all servers killed under load: a page that is opened then, and the commands, say all of it', {
  timeout: 180_000,
}, async ({ skip }) => {
  const demo = await runDemo('--servers', '4', '--threads', '1');
  await visitDemo(demo.url, VISITORS);
  const admin = ['--admin', demo.adminUrl];
  const counted = async (): Promise<boolean> =>
    (await command(['sessions', ...admin])).out.startsWith(`pool demo: ${VISITORS} sessions,`);
  await eventually(counted, { deadlineMs: 60_000, what: () => `${VISITORS} sessions` });
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
  for (const [width, height] of [
    [1280, 800],
    [390, 844],
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
  }

  const { out } = await command(['status', ...admin], { COLUMNS: '80' });
  expect(out).toMatch(new RegExp(`^CLIENTS GET ERRORS: pool demo ${why} since `));
  const events = await command(['events', ...admin]);
  for (const name of demo.pids.keys()) expect(events.out).toMatch(new RegExp(` WARN demo/${name} down: `));
});
