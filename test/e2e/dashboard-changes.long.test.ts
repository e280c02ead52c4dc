// Changes made on the dashboard happen: by mouse, by keyboard alone, and with the token where one is needed.

import { expect, test } from 'vitest';
import { command } from '../support/command.ts';
import { dashboardSetup, openDashboard } from '../support/dashboard.ts';
import { eventually } from '../support/eventually.ts';
import type { RunningHoldfast, StatusServer } from '../support/holdfast.ts';

async function serverOf(holdfast: RunningHoldfast, name: string): Promise<StatusServer> {
  const server = (await holdfast.status()).pools[0]?.servers.find((found) => found.name === name);
  if (server === undefined) throw new Error(`no server ${name}`);
  return server;
}

/** Chromium itself reports every 401 on the console: those of a token not given yet. */
const isUnexpected = (complaint: string): boolean => !complaint.includes('status of 401');

test('a drain that is clicked and confirmed happens; one that is cancelled does not', async ({ skip }) => {
  const { holdfast } = await dashboardSetup({ users: 12 });
  const { page, complaints } = await openDashboard(holdfast.adminUrl, skip);
  const row = page.locator('tr[data-server="shop/b"]');

  await row.locator('[data-action=drain]').click();
  const dialog = page.locator('#change');
  await dialog.waitFor();
  expect(await page.locator('#change-title').textContent()).toBe('Drain shop/b');
  expect(await page.locator('#change-effect').textContent()).toContain(
    'b holds 4 of 12 sessions in the pool.',
  );
  await page.locator('#change-effect', { hasText: 'Predicted: 0 sessions moved, 0 lost' }).waitFor();
  await page.locator('#change-cancel').click();
  await dialog.waitFor({ state: 'hidden' });
  expect((await serverOf(holdfast, 'b')).mode).toBe('ready');

  await row.locator('[data-action=drain]').click();
  await page.locator('#change-confirm').click();
  await dialog.waitFor({ state: 'hidden' });
  expect((await serverOf(holdfast, 'b')).mode).toBe('drain');
  await page.locator('tr[data-server="shop/b"][data-mode=drain]').waitFor();
  expect(await row.locator('.state').textContent()).toBe('draining');
  expect(await page.locator('#log .what').allTextContents()).toContain(
    'set by the page from 127.0.0.1: mode drain',
  );
  expect(complaints.filter(isUnexpected)).toEqual([]);
}, 60_000);

test('what happened stands in its order, also when the same happens again', async ({ skip }) => {
  const { holdfast } = await dashboardSetup({ users: 3 });
  const { page } = await openDashboard(holdfast.adminUrl, skip);
  const settings = page.locator('#log li', { hasText: 'set by' });
  for (const [count, [server, weight]] of [
    ['shop/a', '2'],
    ['shop/b', '2'],
    ['shop/a', '3'],
    ['shop/a', '3'],
  ].entries()) {
    await command(['weight', `${server}`, `${weight}`, '--admin', holdfast.adminUrl]);
    // the last says nothing new
    await eventually(async () => (await settings.count()) === Math.min(count + 1, 3));
  }
  const said = (await settings.locator('p').allTextContents()).map((text) => text.replace(/ set by .*:/, ''));
  expect(said).toEqual(['shop/a weight 3', 'shop/b weight 2', 'shop/a weight 2']);
  const times = await settings.locator('time').allTextContents();
  expect(times).toEqual(times.toSorted().toReversed());
}, 60_000);

test('by keyboard alone: weight and maintenance, escape cancels, focus comes back and survives updates', async ({
  skip,
}) => {
  const { holdfast } = await dashboardSetup({ users: 12 });
  const { page, complaints } = await openDashboard(holdfast.adminUrl, skip);
  const focused = (): Promise<string> =>
    page.evaluate(`(() => { const at = document.activeElement;
      return (at.closest('tr')?.dataset.server ?? '') + ' ' + (at.dataset.action ?? at.id ?? at.tagName); })()`);
  const tabTo = async (wanted: string): Promise<void> => {
    for (let step = 0; step < 60; step += 1) {
      if ((await focused()) === wanted) return;
      await page.keyboard.press('Tab');
    }
    throw new Error(`${wanted} cannot be reached with the tab key`);
  };

  await tabTo('shop/a weight');
  const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
  expect(outline).toBe('solid');
  await page.keyboard.press('Enter');
  expect(await focused()).toBe(' change-weight-value');
  await page.keyboard.type('3');
  await page.keyboard.press('Enter');
  await eventually(async () => (await serverOf(holdfast, 'a')).weight === 3);
  await eventually(async () => (await focused()) === 'shop/a weight');

  await tabTo('shop/b maintenance');
  await page.keyboard.press('Space');
  expect(await page.locator('#change-effect').textContent()).toContain('4 sessions will be lost');
  await page.locator('#change-effect', { hasText: 'Predicted: 4 sessions moved, 4 lost' }).waitFor();
  expect(await focused()).toBe(' change-cancel');
  await page.keyboard.press('Escape');
  await eventually(async () => (await focused()) === 'shop/b maintenance');
  expect((await serverOf(holdfast, 'b')).mode).toBe('ready');

  await page.keyboard.press('Space');
  await page.keyboard.press('Tab');
  expect(await focused()).toBe(' change-confirm');
  await page.keyboard.press('Enter');
  await page.locator('tr[data-server="shop/b"][data-mode=maintenance]').waitFor();
  expect((await serverOf(holdfast, 'b')).mode).toBe('maintenance');
  // sorting moves rows about; the focused button stays the focused button
  await page.locator('thead button', { hasText: 'Sessions' }).press('Enter');
  expect(await page.locator('th[aria-sort]').allTextContents()).toEqual(['Sessionsfair share']);
  expect(complaints.filter(isUnexpected)).toEqual([]);
}, 60_000);

test('where a token is needed it is asked for, a wrong one is refused, the right one stays in the tab only', async ({
  skip,
}) => {
  const { holdfast } = await dashboardSetup({ users: 3, token: 'right-token' });
  const { page, context, complaints } = await openDashboard(holdfast.adminUrl, skip);
  const row = page.locator('tr[data-server="shop/c"]');
  await row.locator('[data-action=drain]').click();
  await page.locator('#change-confirm').click();

  await page.locator('#token-value').fill('wrong-token');
  await page.locator('#token-value').press('Enter');
  await page.locator('#token-error', { hasText: 'not the right one' }).waitFor();
  expect((await serverOf(holdfast, 'c')).mode).toBe('ready');
  await page.locator('#token-value').fill('right-token');
  await page.locator('#token-value').press('Enter');
  await page.locator('tr[data-server="shop/c"][data-mode=drain]').waitFor();
  expect((await serverOf(holdfast, 'c')).mode).toBe('drain');

  // the next change needs no further asking
  await row.locator('[data-action=ready]').click();
  await page.locator('#change-confirm').click();
  await page.locator('tr[data-server="shop/c"][data-mode=ready]').waitFor();
  expect(
    await page.evaluate('[JSON.stringify(sessionStorage), JSON.stringify(localStorage), document.cookie]'),
  ).toEqual(['{"holdfast-token":"right-token"}', '{}', '']);
  const other = await context.newPage();
  await other.goto(`${holdfast.adminUrl}/`);
  expect(await other.evaluate('JSON.stringify(sessionStorage)')).toBe('{}');
  await page.locator('#forget').click();
  expect(await page.evaluate('sessionStorage.length')).toBe(0);
  expect(complaints.filter(isUnexpected)).toEqual([]);
}, 60_000);
