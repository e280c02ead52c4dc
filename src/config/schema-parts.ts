// Sections of the schema that stand on their own: access log, health, rate limits.

import { GROUP_NAMES, GROUP_SPELLINGS, type GroupName, groupNamed } from '../base/tls-groups.ts';
import {
  checkBodyText,
  checkCookieName,
  checkDnsName,
  checkGrpcService,
  checkHeaderName,
  checkHeaderValue,
  checkHealthHost,
  checkHealthPath,
  checkPath,
  checkViaName,
} from './check-text.ts';
import {
  choice,
  decimal,
  duration,
  integer,
  leaf,
  oneOf,
  percent,
  shownValue,
  statusRanges,
  text,
} from './leaf.ts';
import { formatRate, parseRate, RATE_PATTERN, type RateLimitKey } from './rate.ts';
import { didYouMean } from './suggest.ts';
import {
  either,
  key,
  type Leaf,
  type List,
  list,
  type Mapping,
  mapping,
  names,
  oneOrMore,
  optional,
  type Reading,
  required,
  type Short,
  type Substitution,
  short,
} from './table.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Of a key that is encrypted. Not printed. */
export function passphrase(): Leaf<string, string, ''> {
  const check = (value: string): string | null =>
    value === '' ? 'must not be empty, leave the key out for a key that is not encrypted' : null;
  return text('text', check, true);
}

/** Of the key exchange in TLS, by whatever name. */
export function groups(): List<Leaf<string, GroupName, ''>> {
  const group = leaf<string, GroupName>({ kind: 'name', enum: GROUP_SPELLINGS }, (written) => {
    const value = typeof written === 'string' ? groupNamed(written) : null;
    if (value !== null) return { value };
    const nearest = typeof written === 'string' ? didYouMean(written, GROUP_NAMES) : '';
    return { refused: `must be ${oneOf(GROUP_NAMES)}, not ${shownValue(written)}${nearest}` };
  });
  return oneOrMore(group, GROUP_NAMES.length);
}

/** Files by status or class of it; where they are is checked in error-pages.ts. */
export const errorPages = names(oneOrMore(text('path', checkPath), 3));

export const accessLog = mapping({
  format: key(choice(['json']), 'json', 'one JSON object per line'),
  sample: key(decimal(0, 1), 1, 'share of requests that are logged: 1 = all, 0.01 = one in a hundred'),
  file: optional(
    text('path', (value) =>
      value === '' ? 'must not be empty, leave the key out for standard output' : null,
    ),
    'where lines are appended; opened anew at each reload, so that it can be rotated; absent: standard output',
  ),
});

export const health = mapping({
  path: optional(
    text('path', checkHealthPath),
    'path of the request, as it is whatever path the server URL has; absent: a TCP connect is the whole check',
  ),
  grpc: optional(
    text('text', checkGrpcService),
    'service that is asked for by the health protocol of gRPC (`grpc.health.v1`), instead of a path; `""`: the server as a whole. Needs `protocol: h2` or `auto`',
  ),
  host: optional(
    text('host', checkHealthHost),
    'Host field of the request, for applications that answer to their own name only; absent: the server',
  ),
  headers: key(names(text('text', checkHeaderValue)), {}, 'further header fields of the request, by name'),
  method: key(choice(['GET', 'HEAD', 'OPTIONS', 'POST']), 'GET', 'method of the request'),
  port: optional(integer(1, 65_535), 'port that is checked; absent: that of the server'),
  body: optional(
    text('text', checkBodyText),
    'text that the reply must contain within its first 64KiB; absent: any body will do',
  ),
  interval: key(duration(100, HOUR), '2s', 'time between two checks of a server'),
  timeout: key(duration(10, 10 * MINUTE), '1s', 'a check without an answer in this time has failed'),
  rise: key(integer(1, 100), 2, 'good checks in a row until a server is up'),
  fall: key(integer(1, 100), 3, 'failed checks in a row until a server is down'),
  status: key(
    statusRanges(),
    '200-399',
    'status codes of a good check: `200-399`, `204` or `[200, 301-303]`',
  ),
});

export const passive = mapping({
  failures: key(
    integer(1, 100_000),
    5,
    'failed requests within the window until a server is ejected, if they are 30% of its requests: not reached, no answer in time, or none that is whole and valid',
  ),
  window: key(duration(SECOND, HOUR), '10s', 'time over which failures are counted'),
  eject: key(
    duration(SECOND, DAY),
    '30s',
    'how long an ejected server gets no new sessions; each further ejection takes as much longer. With `state: local` those that it has stay',
  ),
  maxEjected: key(percent(0, 100), '50%', 'share of the pool that may be ejected at once'),
  status: key(
    list(integer(400, 599), { max: 32 }),
    [],
    'statuses of the server that count as failures as well, such as `[502, 503, 504]`',
  ),
  clients: key(
    integer(1, 16),
    3,
    'so many different client addresses must have met the failures, so that one client ejects nobody; 1 where all clients come through one address',
  ),
  panic: key(
    percent(0, 100),
    '50%',
    'with a smaller share of the pool in service, ejections are ignored; 0 = never',
  ),
});

export const rateLimit = mapping(
  {
    key: key(
      rateLimitKey(),
      'address',
      'what tells clients apart: `address`, `header NAME` or `cookie NAME`; a request without that header or cookie counts under its address',
    ),
    rate: required(
      rate(1 / 3_600, 1_000_000),
      'requests of one client over a longer time, all threads together',
      'perSecond',
    ),
    burst: key(integer(1, 1_000_000), 1, 'requests that may come at once after a pause'),
  },
  'rateLimit',
);

const maxConnections = key(
  integer(0, 1_000_000),
  0,
  'most requests in flight to each server that is found; 0 = no limit',
);

const maxSessions = key(integer(0, 1_000_000), 0, 'most sessions of each server that is found; 0 = no limit');

export const dnsServers = mapping(
  {
    dns: required(
      mapping({
        name: required(text('host', checkDnsName), 'name to look up'),
        port: optional(integer(1, 65_535), 'port of the servers; needed unless the type is SRV'),
        type: key(
          choice(['A', 'AAAA', 'SRV']),
          'A',
          '`SRV` names port, weight and priority too: servers of a lower priority are backups',
        ),
        refresh: key(duration(100, DAY), '10s', 'time between two lookups, give or take a tenth'),
      }),
      'a server for each address of a DNS name; a lookup that fails or finds none changes nothing',
    ),
    maxConnections,
    maxSessions,
  },
  'dnsServers',
);

export const fileServers = mapping(
  {
    file: required(
      mapping({
        path: required(
          text('path', (value) => (value === '' ? 'must not be empty' : null)),
          'a URL per line, or a YAML list of URLs; `#` begins a comment',
        ),
        refresh: key(duration(100, DAY), '2s', 'time between two looks at the file'),
      }),
      'a server for each URL in a file; a file that is missing, empty or wrong changes nothing',
    ),
    maxConnections,
    maxSessions,
  },
  'fileServers',
);

/** A name, or off: null. YAML tools of version 1.1 turn off into false. */
export function viaName(): Leaf<string, string | null, ''> {
  const readName = (written: unknown): Reading<string | null> => {
    if (written === false || written === 'off') return { value: null };
    const refused =
      typeof written === 'string'
        ? checkViaName(written)
        : `must be a name or off, not ${shownValue(written)}`;
    return refused === null ? { value: String(written) } : { refused };
  };
  return leaf({ kind: 'name or off', type: 'string' }, readName, (name) => name ?? 'off');
}

/** `100/s`, `90/m`, `1000/h`, as events a second. */
export function rate(minPerSecond: number, maxPerSecond: number): Leaf<string, number, ''> {
  const allowed = `from ${formatRate(minPerSecond)} to ${formatRate(maxPerSecond)}`;
  return leaf(
    { kind: 'rate', type: 'string', pattern: RATE_PATTERN, range: allowed },
    (written) => {
      const value = typeof written === 'string' ? parseRate(written) : null;
      if (value === null)
        return { refused: `must be a rate such as 100/s or 90/m, not ${shownValue(written)}` };
      const isInside = value >= minPerSecond && value <= maxPerSecond;
      return isInside ? { value } : { refused: `must be ${allowed}, not ${shownValue(written)}` };
    },
    formatRate,
  );
}

type RateLimitKeyText = 'address' | `${'header' | 'cookie'} ${string}`;

function rateLimitKey(): Leaf<RateLimitKeyText | Substitution, RateLimitKey, ''> {
  const shown = { kind: 'text', type: 'string', pattern: '^(address|(header|cookie) [^ ]+)$' };
  const readKey = (written: unknown): Reading<RateLimitKey> => {
    const match = typeof written === 'string' ? /^(?:address|(header|cookie) (\S+))$/.exec(written) : null;
    if (match === null)
      return { refused: `must be address, header NAME or cookie NAME, not ${shownValue(written)}` };
    const [, kind, name = ''] = match;
    if (kind === undefined) return { value: { kind: 'address' } };
    const refused = kind === 'header' ? checkHeaderName(name) : checkCookieName(name);
    if (refused !== null) return { refused };
    return { value: kind === 'header' ? { kind: 'header', name } : { kind: 'cookie', name } };
  };
  return leaf<RateLimitKeyText, RateLimitKey>(shown, readKey, (by) =>
    by.kind === 'address' ? 'address' : `${by.kind} ${by.name}`,
  );
}

/** The mapping, or off: null. */
export function orOff<T extends Mapping>(type: T, meant: Short['meant'] = null) {
  return either(
    type,
    short(choice(['off']), type, () => null, meant),
  );
}
