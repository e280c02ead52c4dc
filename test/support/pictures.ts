// The pictures in docs/screenshots are of what tests see: `PICTURES=1 LONG=1 npx vitest run test/e2e/outage-drill.long.test.ts` makes them.

import { join } from 'node:path';
import type { Page } from 'playwright-core';

const FOLDER = join(import.meta.dirname, '../../docs/screenshots');
const HISTORY_MS = 30_000;

const { PICTURES } = process.env;
const isAsked = PICTURES === '1';

/** Lets the charts have something to show. */
export async function letHistoryGrow(): Promise<void> {
  if (isAsked) await new Promise((resolve) => setTimeout(resolve, HISTORY_MS));
}

export async function keepPicture(page: Page, name: string): Promise<void> {
  if (isAsked) await page.screenshot({ path: join(FOLDER, `${name}.png`) });
}
