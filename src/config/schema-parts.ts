// Sections of the schema that stand on their own: access log, passive health, rate limits.

import * as z from 'zod';
import { checkCookieName, checkHeaderName } from './check-text.ts';
import { choice, decimal, duration, integer, type Leaf, leaf, percent, shownValue, text } from './leaf.ts';
import type { RateLimitKey } from './model.ts';
import { formatRate, parseRate, RATE_PATTERN } from './rate.ts';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

export const accessLog = z.strictObject({
  format: choice(['json']).prefault('json').describe('one JSON object per line'),
  sample: decimal(0, 1)
    .prefault(1)
    .describe('share of requests that are logged: 1 = all, 0.01 = one in a hundred'),
  file: text('path', (value) =>
    value === '' ? 'must not be empty, leave the key out for standard output' : null,
  )
    .optional()
    .describe(
      'where lines are appended; opened anew at each reload, so that it can be rotated; absent: standard output',
    ),
});

export const passive = z.strictObject({
  failures: integer(1, 100_000)
    .prefault(5)
    .describe(
      'failed requests within the window until a server is ejected, if they are 30% of its requests: not reached, no answer in time, connection broken, or 502, 503 or 504 from the server',
    ),
  window: duration(SECOND, HOUR).prefault('10s').describe('time over which failures are counted'),
  eject: duration(SECOND, DAY)
    .prefault('30s')
    .describe('how long an ejected server gets no requests; each further ejection takes as much longer'),
  maxEjected: percent(0, 100).prefault('50%').describe('share of the pool that may be ejected at once'),
  panic: percent(0, 100)
    .prefault('50%')
    .describe('with a smaller share of the pool in service, ejections are ignored; 0 = never'),
});

export const rateLimit = z
  .strictObject({
    key: rateLimitKey()
      .prefault('address')
      .describe(
        'what tells clients apart: `address`, `header NAME` or `cookie NAME`; a request without that header or cookie counts under its address',
      ),
    rate: rate(1 / 3_600, 1_000_000).describe(
      'requests of one client over a longer time, all threads together',
    ),
    burst: integer(1, 1_000_000).prefault(1).describe('requests that may come at once after a pause'),
  })
  .meta({ id: 'rateLimit' });

/** `100/s`, `90/m`, `1000/h`, as events a second. */
function rate(minPerSecond: number, maxPerSecond: number): Leaf<number> {
  const allowed = `from ${formatRate(minPerSecond)} to ${formatRate(maxPerSecond)}`;
  return leaf({ kind: 'rate', type: 'string', pattern: RATE_PATTERN, 'x-range': allowed }, (written) => {
    const value = typeof written === 'string' ? parseRate(written) : null;
    if (value === null)
      return { refused: `must be a rate such as 100/s or 90/m, not ${shownValue(written)}` };
    const isInside = value >= minPerSecond && value <= maxPerSecond;
    return isInside ? { value } : { refused: `must be ${allowed}, not ${shownValue(written)}` };
  });
}

function rateLimitKey(): Leaf<RateLimitKey> {
  const shown = { kind: 'text', type: 'string', pattern: '^(address|(header|cookie) [^ ]+)$' };
  return leaf<RateLimitKey>(shown, (written) => {
    const match = typeof written === 'string' ? /^(?:address|(header|cookie) (\S+))$/.exec(written) : null;
    if (match === null)
      return { refused: `must be address, header NAME or cookie NAME, not ${shownValue(written)}` };
    const [, kind, name = ''] = match;
    if (kind === undefined) return { value: { kind: 'address' } };
    const refused = kind === 'header' ? checkHeaderName(name) : checkCookieName(name);
    if (refused !== null) return { refused };
    return { value: kind === 'header' ? { kind: 'header', name } : { kind: 'cookie', name } };
  });
}
