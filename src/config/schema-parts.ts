// Sections of the schema that stand on their own: access log, health, rate limits.

import { isIP } from 'node:net';
import * as z from 'zod';
import {
  checkBodyText,
  checkCookieName,
  checkDnsName,
  checkHeaderName,
  checkHeaderValue,
  checkHealthHost,
  checkHealthPath,
  checkViaName,
} from './check-text.ts';
import {
  choice,
  decimal,
  duration,
  integer,
  type Leaf,
  leaf,
  percent,
  shownValue,
  statusRanges,
  text,
} from './leaf.ts';
import type { RateLimitKey } from './model.ts';
import { formatRate, parseRate, RATE_PATTERN } from './rate.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
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

export const health = z.strictObject({
  path: text('path', checkHealthPath)
    .optional()
    .describe(
      'path of the request, as it is whatever path the server URL has; absent: a TCP connect is the whole check',
    ),
  host: text('host', checkHealthHost)
    .optional()
    .describe(
      'Host field of the request, for applications that answer to their own name only; absent: the server',
    ),
  headers: z
    .record(z.string(), text('text', checkHeaderValue))
    .prefault({})
    .describe('further header fields of the request, by name'),
  method: choice(['GET', 'HEAD', 'OPTIONS', 'POST']).prefault('GET').describe('method of the request'),
  port: integer(1, 65_535).optional().describe('port that is checked; absent: that of the server'),
  body: text('text', checkBodyText)
    .optional()
    .describe('text that the reply must contain within its first 64KiB; absent: any body will do'),
  interval: duration(100, HOUR).prefault('2s').describe('time between two checks of a server'),
  timeout: duration(10, 10 * MINUTE)
    .prefault('1s')
    .describe('a check without an answer in this time has failed'),
  rise: integer(1, 100).prefault(2).describe('good checks in a row until a server is up'),
  fall: integer(1, 100).prefault(3).describe('failed checks in a row until a server is down'),
  status: statusRanges()
    .prefault('200-399')
    .describe('status codes of a good check: `200-399`, `204` or `[200, 301-303]`'),
});

export const passive = z.strictObject({
  failures: integer(1, 100_000)
    .prefault(5)
    .describe(
      'failed requests within the window until a server is ejected, if they are 30% of its requests: not reached, no answer in time, or none that is whole and valid',
    ),
  window: duration(SECOND, HOUR).prefault('10s').describe('time over which failures are counted'),
  eject: duration(SECOND, DAY)
    .prefault('30s')
    .describe(
      'how long an ejected server gets no new sessions; each further ejection takes as much longer. With `state: local` those that it has stay',
    ),
  maxEjected: percent(0, 100).prefault('50%').describe('share of the pool that may be ejected at once'),
  status: z
    .array(integer(400, 599))
    .max(32)
    .prefault([])
    .describe('statuses of the server that count as failures as well, such as `[502, 503, 504]`'),
  clients: integer(1, 16)
    .prefault(3)
    .describe(
      'so many different client addresses must have met the failures, so that one client ejects nobody; 1 where all clients come through one address',
    ),
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

const maxConnections = integer(0, 1_000_000)
  .prefault(0)
  .describe('most requests in flight to each server that is found; 0 = no limit');

export const dnsServers = z
  .strictObject({
    dns: z
      .strictObject({
        name: text('host', checkDnsName).describe('name to look up'),
        port: integer(1, 65_535).optional().describe('port of the servers; needed unless the type is SRV'),
        type: choice(['A', 'AAAA', 'SRV'])
          .prefault('A')
          .describe('`SRV` names port, weight and priority too: servers of a lower priority are backups'),
        refresh: duration(100, DAY)
          .prefault('10s')
          .describe('time between two lookups, give or take a tenth'),
      })
      .describe('a server for each address of a DNS name; a lookup that fails or finds none changes nothing'),
    maxConnections,
  })
  .meta({ id: 'dnsServers' });

export const fileServers = z
  .strictObject({
    file: z
      .strictObject({
        path: text('path', (value) => (value === '' ? 'must not be empty' : null)).describe(
          'a URL per line, or a YAML list of URLs; `#` begins a comment',
        ),
        refresh: duration(100, DAY).prefault('2s').describe('time between two looks at the file'),
      })
      .describe('a server for each URL in a file; a file that is missing, empty or wrong changes nothing'),
    maxConnections,
  })
  .meta({ id: 'fileServers' });

/** A name, or off, which YAML tools of version 1.1 turn into false. */
export function viaName(): Leaf<string> {
  return leaf({ kind: 'name or off', type: 'string' }, (written) => {
    if (written === false || written === 'off') return { value: 'off' };
    const refused =
      typeof written === 'string'
        ? checkViaName(written)
        : `must be a name or off, not ${shownValue(written)}`;
    return refused === null ? { value: String(written) } : { refused };
  });
}

/** `127.0.0.1`, `127.0.0.1:5353`, `::1` or `[::1]:5353`, as node:dns takes it. */
export function nameServer(): Leaf<string> {
  return text('address', (value) => {
    const match = /^(?:\[([^\]]+)\](?::\d{1,5})?|([^:]+)(?::\d{1,5})?)$/.exec(value);
    const host = isIP(value) > 0 ? value : (match?.[1] ?? match?.[2] ?? '');
    return isIP(host) > 0
      ? null
      : `must be an IP address such as 127.0.0.1:5353, not ${JSON.stringify(value)}`;
  });
}

/** `100/s`, `90/m`, `1000/h`, as events a second. */
export function rate(minPerSecond: number, maxPerSecond: number): Leaf<number> {
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
