// A real Chromium for tests: everything it does that it should not is kept and can be asserted.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { needs } from './needs.ts';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface BrowserPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Console errors and warnings (violations of the page's policy are among them), exceptions, requests to other hosts. */
  readonly complaints: readonly string[];
  /** Paths asked for, in order. */
  readonly requests: readonly string[];
}

export interface BrowserOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: 'light' | 'dark';
  /** Nobody vouches for the certificate of the page. */
  readonly isSelfSigned?: boolean;
  /** Its own flags, beside those of all. */
  readonly flags?: readonly string[];
}

/** Opens the URL in a fresh browser of its own, which ends with the test. */
export async function openPage(
  url: string,
  skip: (reason: string) => never,
  options: BrowserOptions = {},
): Promise<BrowserPage> {
  const { width = 1280, height = 900, colorScheme = 'light', isSelfSigned = false, flags = [] } = options;
  const executablePath = needs('chromium', skip);
  const profile = mkdtempSync(join(tmpdir(), 'holdfast-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    args: [...FLAGS, ...flags],
    viewport: { width, height },
    colorScheme,
    ignoreHTTPSErrors: isSelfSigned,
  });
  onTestFinished(async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  const { host } = new URL(url);
  page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const { url: at } = message.location();
    complaints.push(`${message.type()}: ${message.text()} ${at === '' ? '' : new URL(at).pathname}`.trim());
  });
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (asked.protocol === 'data:') return;
    requests.push(asked.pathname);
    if (asked.host !== host) complaints.push(`request to ${asked.host}`);
  });
  await page.goto(url);
  return { page, context, complaints, requests };
}
