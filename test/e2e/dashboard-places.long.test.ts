// The dashboard on a phone, with a hundred servers in several pools, and when the balancer goes away and comes back.

import { expect, test } from 'vitest';
import { dashboardSetup, openDashboard, poolYaml } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { sessionServers } from '../support/session-servers.ts';

/** Elements that reach over the right edge of the window, and how far the page scrolls sideways. */
const OVERFLOW = `[document.documentElement.scrollWidth - innerWidth,
  ...[...document.querySelectorAll('main *, header *, aside *, nav *')]
    .filter((at) => at.getBoundingClientRect().right > innerWidth + 0.5 && at.closest('thead, .canvas') === null)
    .map((at) => at.tagName + '.' + at.className)]`;

for (const width of [390, 320]) {
  test(`at ${width} px nothing scrolls sideways, and buttons can be hit`, async ({ skip }) => {
    const { holdfast } = await dashboardSetup({ users: 12 });
    const { page, complaints } = await openDashboard(holdfast.adminUrl, skip, {
      width,
      height: 844,
      colorScheme: 'dark',
    });
    expect(await page.evaluate(OVERFLOW)).toEqual([0]);
    const box = await page.locator('tr[data-server="shop/a"] [data-action=drain]').boundingBox();
    expect(box?.height).toBeGreaterThanOrEqual(30);
    await page.locator('tr[data-server="shop/a"] [data-action=weight]').click();
    await page.locator('#change').waitFor();
    expect(await page.evaluate(OVERFLOW)).toEqual([0]);
    expect(complaints).toEqual([]);
  }, 60_000);
}

test('a hundred servers are folded, sorted and shown; a second pool has its own section', async ({
  skip,
}) => {
  const servers = await sessionServers(4);
  const many = Array.from({ length: 100 }, (_, index) => {
    return `      - { name: web-${String(index).padStart(2, '0')}, url: "${servers[index % 4]?.url}", weight: ${index + 1} }`;
  });
  const holdfast = await runHoldfast(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
routes: [{ path: /api/, pool: api }, { pool: shop }]
pools:
  shop:
    sticky: { mode: cookie-hash }
    servers:
${many.join('\n')}
  api:
    servers: [{ name: one, url: "${servers[0]?.url}" }]
`,
    { threads: 1 },
  );
  const { page, complaints } = await openDashboard(holdfast.adminUrl, skip);
  const rows = page.locator('#pool-shop tbody tr');
  expect(await rows.count()).toBe(16);
  await page.locator('#pool-shop .more').click();
  expect(await rows.count()).toBe(100);
  await page.locator('#pool-shop thead button', { hasText: 'Server' }).click();
  expect(await rows.first().getAttribute('data-server')).toBe('shop/web-99');
  expect(await page.locator('#overview a b').allTextContents()).toEqual(['shop', 'api']);
  const toggle = page.locator('#pool-api .toggle');
  await toggle.click();
  expect(await toggle.getAttribute('aria-expanded')).toBe('false');
  expect(await page.locator('#content-api').isHidden()).toBe(true);
  await page.locator('#overview a', { hasText: 'api' }).click();
  expect(await page.locator('#content-api').isHidden()).toBe(false);
  expect(complaints).toEqual([]);
}, 60_000);

test('two hundred servers, all rows shown: an update that changes nothing touches nothing', async ({
  skip,
}) => {
  const servers = await sessionServers(2);
  const many = Array.from({ length: 200 }, (_, index) => {
    return `      - { name: web-${index}, url: "${servers[index % 2]?.url}" }`;
  });
  const holdfast = await runHoldfast(
    `
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    sticky: { mode: cookie-hash }
    health: off
    servers:
${many.join('\n')}
`,
    { threads: 1 },
  );
  const { page, complaints } = await openDashboard(holdfast.adminUrl, skip);
  await page.locator('#pool-shop .more').click();
  const rows = page.locator('#pool-shop tbody tr');
  await eventually(async () => (await rows.count()) === 200);
  await page.locator('#pool-shop [data-figure="Requests/s"]', { hasText: /^0$/ }).waitFor();
  await page.evaluate(`(() => {
    window.touched = [];
    window.updates = 0;
    const watched = { subtree: true, childList: true, attributes: true, characterData: true };
    new MutationObserver((records) => {
      for (const { type, target } of records) touched.push(type + ' ' + (target.className ?? target.nodeName));
    }).observe(document.querySelector('#pool-shop .servers'), watched);
    new MutationObserver(() => { updates += 1; }).observe(document.querySelector('#facts'), watched);
  })()`);
  await eventually(async () => Number(await page.evaluate('updates')) >= 3, { deadlineMs: 30_000 });
  expect(await page.evaluate('touched')).toEqual([]);

  // found by name among all of them
  await page.locator('#pool-shop input[type=search]').fill('web-123');
  expect(await rows.count()).toBe(1);
  expect(complaints).toEqual([]);
}, 60_000);

test('twenty pools: one line each until they are opened, and those in trouble are seen', async ({ skip }) => {
  const servers = await sessionServers(2);
  const names = Array.from({ length: 20 }, (_, index) => `pool-${index}`);
  const holdfast = await runHoldfast(
    `
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
routes:
${names.map((name) => `  - { path: /${name}/, pool: ${name} }`).join('\n')}
pools:
${names
  .map((name, index) => {
    const url = servers[index === 17 ? 1 : 0]?.url;
    const own = Array.from({ length: 10 }, (_, at) => `{ name: web-${at}, url: "${url}" }`);
    return `  ${name}:\n    health: { interval: 1s, timeout: 20s, fall: 1 }\n    servers: [${own.join(', ')}]`;
  })
  .join('\n')}
`,
    { threads: 1 },
  );
  await servers[1]?.close();
  const { page, complaints } = await openDashboard(holdfast.adminUrl, skip);
  const chips = page.locator('#overview a');
  await page.locator('#trouble li', { hasText: /^Pool pool-17: no server can take new requests/ }).waitFor();
  await page.locator('#overview a[data-tone=bad]', { hasText: 'pool-17' }).waitFor();
  expect(await chips.count()).toBe(20);
  expect(await page.locator('#overview a[data-tone=bad]').count()).toBe(1);
  expect(await page.evaluate(OVERFLOW)).toEqual([0]);
  expect(await page.locator('#content-pool-0').isHidden()).toBe(false);
  expect(await page.locator('#content-pool-17').isHidden()).toBe(true);
  await chips.filter({ hasText: 'pool-17' }).click();
  expect(await page.locator('#content-pool-17').isHidden()).toBe(false);
  const down = page.locator('#pool-pool-17 tbody tr[data-state=down]');
  await eventually(async () => (await down.count()) === 10);
  expect(complaints).toEqual([]);
}, 60_000);

test('a lost connection is said, and the page goes on by itself when the balancer is back', async ({
  skip,
}) => {
  const port = await freePort();
  const servers = await sessionServers(3);
  const yaml = poolYaml(servers, { admin: `127.0.0.1:${port}` });
  const first = await runHoldfast(yaml, { threads: 1 });
  const { page } = await openDashboard(first.adminUrl, skip);
  first.child.kill('SIGKILL');
  await page.locator('#link[data-state=lost]').waitFor();
  expect(await page.locator('#link-text').textContent()).toMatch(
    /^connection lost, trying again; figures of \d\d:\d\d:\d\d$/,
  );
  await first.exited();
  await runHoldfast(yaml.replaceAll('name: ', 'name: new-'), { threads: 1 });
  await page.locator('#link[data-state=live]').waitFor({ timeout: 20_000 });
  await page.locator('#log .what', { hasText: 'The balancer was started anew' }).waitFor();
  // what has happened before the page found it again
  const ups = page.locator('#log li', { hasText: /shop\/new-. is up: / });
  await eventually(async () => (await ups.count()) === servers.length);
}, 60_000);
