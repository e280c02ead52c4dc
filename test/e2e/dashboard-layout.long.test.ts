// The dashboard at every width, with many servers that have long names, well and in an outage: nothing scrolls sideways, rows are
// low, the troubled come first and can be found, and axe finds nothing.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { openDashboard } from '../support/dashboard.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { type SessionServer, sessionServers } from '../support/session-servers.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [390, 768, 1024, 1280, 1440, 1920];
const SERVERS = 24;
const LONG = 'a-server-whose-name-was-made-by-a-machine-and-goes-on-and-on';

async function manyServers(): Promise<{ holdfast: RunningHoldfast; servers: SessionServer[] }> {
  const servers = await sessionServers(2);
  const rows = Array.from({ length: SERVERS }, (_, index) => {
    const mode = index === 7 ? ', mode: drain' : '';
    return `      - { name: ${LONG}-${index}, url: "${servers[index % 2]?.url}"${mode} }`;
  });
  const holdfast = await runHoldfast(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    sticky: { mode: cookie-hash }
    health: { interval: 200ms, fall: 1 }
    servers:
${rows.join('\n')}
`,
    { threads: 1 },
  );
  return { holdfast, servers };
}

/** How far the page scrolls sideways. */
function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - innerWidth');
}

/** What reaches over the edge of its cell, or of its pool. */
const MISPLACED = `[...document.querySelectorAll('.servers tbody td, .servers tbody td *')].filter((at) => {
  const box = at.getBoundingClientRect();
  const around = (at.tagName === 'TD' ? at.closest('.pool') : at.closest('td')).getBoundingClientRect();
  return box.width > 0 && (box.left < around.left - 1 || box.right > around.right + 1);
}).map((at) => at.tagName + '.' + at.className)`;

/** Rules that axe finds broken, each with the first element. */
async function axe(page: Page): Promise<string[]> {
  // not by a script element, which the page's policy does not let in
  await page.evaluate(AXE);
  const found = (await page.evaluate('axe.run()')) as {
    readonly violations: readonly {
      readonly id: string;
      readonly nodes: readonly { readonly html: string }[];
    }[];
  };
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 160)}`);
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(`${colorScheme}: 24 servers with long names, before and during an outage, at every width`, async ({
    skip,
  }) => {
    const { holdfast, servers } = await manyServers();
    const { page, complaints } = await openDashboard(holdfast.adminUrl, skip, { colorScheme });
    const inEachWidth = async (): Promise<void> => {
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 844 });
        expect([width, await overflow(page)]).toEqual([width, 0]);
        expect([width, await page.evaluate(MISPLACED)]).toEqual([width, []]);
      }
      await page.setViewportSize({ width: 1280, height: 800 });
    };
    await inEachWidth();
    const rows = page.locator('#pool-shop tbody tr');
    // the one that is drained is the first of them
    expect(await rows.first().getAttribute('data-server')).toBe(`shop/${LONG}-7`);
    expect((await rows.nth(3).boundingBox())?.height).toBeLessThanOrEqual(41);
    expect(await axe(page)).toEqual([]);

    await servers[0]?.close();
    const down = page.locator('#pool-shop [data-group=down]');
    await down.filter({ hasText: `${SERVERS / 2} down` }).waitFor();
    expect(await rows.first().getAttribute('data-state')).toBe('down');
    await inEachWidth();
    await down.click();
    expect(await rows.count()).toBe(SERVERS / 2);
    await page.locator('#pool-shop input[type=search]').fill('on-22');
    expect(await rows.count()).toBe(1);
    await page.locator('#pool-shop input[type=search]').fill('nobody');
    await page.locator('#pool-shop .none-found').waitFor();
    expect(await axe(page)).toEqual([]);

    // all of it can be done without a mouse
    await page.locator('#pool-shop input[type=search]').fill('on-22');
    await page.locator('#pool-shop input[type=search]').focus();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.dataset.group')).toBe('');
    expect(complaints).toEqual([]);
  }, 120_000);
}

test('the outage is seen at once by who opens the page in it', async ({ skip }) => {
  const { holdfast, servers } = await manyServers();
  const before = await openDashboard(holdfast.adminUrl, skip);
  await Promise.all(servers.map((server) => server.close()));
  await before.page.locator('#trouble li[data-state=failing]').first().waitFor();
  for (const [width, height] of [
    [1280, 800],
    [390, 844],
  ] as const) {
    const { page } = await openDashboard(holdfast.adminUrl, skip, { width, height });
    const worst = page.locator('#trouble li').first();
    const box = await worst.boundingBox();
    expect([width, (box?.y ?? height) + (box?.height ?? 0) < height]).toEqual([width, true]);
    expect(await worst.textContent()).toMatch(/^Pool shop: .+, since \d\d:\d\d:\d\d$/);
    expect(await page.title()).toMatch(/^Clients get errors/);
    expect(await page.locator('#icon').getAttribute('href')).toContain('failing');
    // what has happened stands above the servers where there is one column
    const events = await page.locator('aside').boundingBox();
    expect([width, (events?.y ?? height) < height]).toEqual([width, true]);
  }
}, 120_000);
