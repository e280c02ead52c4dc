// No key of the configuration is ignored in silence by an embedded balancer: it works, or it is refused.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configSchema } from '../../src/config/schema.ts';
import { UNSUPPORTED_KEYS } from '../../src/embed/unsupported-keys.ts';
import { ConfigError, createBalancer } from '../../src/index.ts';
import { keyPaths } from '../support/key-paths.ts';

const POOLS = { web: { servers: ['http://127.0.0.1:1'] } };

/**
 * Keys that the embedded data path, or what composes it, reads itself: each with the test beside this one that fails
 * without it. All of `routes` and `pools` that is not here is read only by the rooms choose, health and sessions, which
 * are the program's, from the same model.
 */
const HONOURED: Readonly<Record<string, string>> = {
  'listen.timeouts.body': 'limits',
  'listen.timeouts.tunnel': 'upgrade',
  'listen.limits.headerBytes': 'limits',
  'listen.limits.headerCount': 'limits',
  'listen.limits.bodyBytes': 'limits',
  'listen.limits.connectionsPerAddress': 'limits',
  'listen.limits.minRate': 'limits',
  'listen.rateLimit': 'limits',
  admin: 'operators',
  trusted: 'middleware',
  accessLog: 'access-log',
  errorDetails: 'failures',
  errorPages: 'error-pages',
  traceparent: 'access-log',
  via: 'middleware',
  resolver: 'lifecycle',
  'shutdown.grace': 'lifecycle',
  'sessions.max': 'embedded',
  'sessions.file': 'lifecycle',
  'sessions.saveEvery': 'lifecycle',
  'sessions.perAddress': 'affinity',
  'routes.rateLimit': 'limits',
  'pools.errorPages': 'error-pages',
  'pools.retry': 'failures',
  'pools.queue': 'failures',
  'pools.timeouts.connect': 'failures',
  'pools.timeouts.response': 'failures',
  'pools.timeouts.idle': 'failures',
  'pools.keepAlive.max': 'connections',
  'pools.keepAlive.idle': 'connections',
  'pools.slowStart': 'operators',
  'pools.rebalance': 'operators',
  'pools.holdUntilComplete': 'hold-until-complete',
  'pools.servers.maxConnections': 'failures',
  'pools.servers.file': 'lifecycle',
  'pools.servers.dns': 'lifecycle',
};
const SAME_CODE: readonly string[] = ['routes', 'pools'];

/** Of single values, list places and names of pools left out. */
const KEYS = keyPaths(configSchema).filter(
  (path, _, all) => !all.some((other) => other.startsWith(`${path}.`)),
);

function isUnder(key: string, section: string): boolean {
  return key === section || key.startsWith(`${section}.`);
}

test('each key of the schema is refused, or works by a test, or is read by the code of the program', () => {
  expect(KEYS.length).toBeGreaterThan(80);
  const known = [...Object.keys(UNSUPPORTED_KEYS), ...Object.keys(HONOURED), ...SAME_CODE];
  const unknown = KEYS.filter(
    (key) => !known.some((section) => section !== 'listen' && isUnder(key, section)),
  );
  expect(unknown).toEqual([]);
  const stale = [...Object.keys(UNSUPPORTED_KEYS), ...Object.keys(HONOURED)].filter(
    (section) => !KEYS.some((key) => isUnder(key, section)),
  );
  expect(stale).toEqual([]);
});

test('what is said to work is in the test that is named', () => {
  const missing = Object.entries(HONOURED).filter(([key, name]) => {
    const file = name === 'embedded' ? 'embedded.ts' : `${name}.test.ts`;
    const text = readFileSync(new URL(file, import.meta.url), 'utf8');
    return !new RegExp(`\\b${key.split('.').at(-1)}\\b`).test(text);
  });
  expect(missing).toEqual([]);
});

/** `listen.limits.connections` with a value, as it would be written. */
function written(path: string, value: unknown): Record<string, unknown> {
  if (path.startsWith('routes.')) return { routes: [{ pool: 'web', [path.slice('routes.'.length)]: value }] };
  const [key = '', ...rest] = path.split('.');
  return { [key]: rest.length === 0 ? value : written(rest.join('.'), value) };
}

const VALUES: Readonly<Record<string, unknown>> = {
  threads: 'auto',
  listen: '127.0.0.1:0',
  'listen.address': '127.0.0.1:0',
  'listen.mode': '0600',
  'listen.halfClose': 'answer',
  'listen.proxyProtocol': 'optional',
  'listen.tls': { selfSigned: true },
  'listen.h2c': true,
  'listen.http2': { streams: 10 },
  'listen.redirectToHttps': true,
  'listen.redirectPort': 443,
  'routes.clientAuth': 'require',
  'listen.timeouts.header': '1s',
  'listen.timeouts.keepAlive': '1s',
};

test.each(Object.keys(UNSUPPORTED_KEYS))('%s is refused, with what to do instead', async (path) => {
  const config = { ...written(path, VALUES[path] ?? 10), pools: POOLS };
  const error = await createBalancer(config).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).problems.map(({ message }) => message)).toEqual([
    `"${path}" has no effect when embedded, leave it out: ${UNSUPPORTED_KEYS[path]}`,
  ]);
});

test('a refused key in YAML has its place', async () => {
  const yaml = 'listen:\n  - limits: { connections: 10 }\npools:\n  web: { servers: [http://127.0.0.1:1] }\n';
  await expect(createBalancer(yaml)).rejects.toThrow(
    'config:2:28: "listen.limits.connections" has no effect when embedded, leave it out: set maxConnections of your server',
  );
});

test.each([
  ['"unix:/run/app.sock", a server on a unix socket', { servers: ['unix:/run/app.sock'] }],
  ['"http://127.0.0.1:1/base", a server URL with a path', { servers: ['http://127.0.0.1:1/base'] }],
  ['"https://127.0.0.1:1", a server over TLS', { servers: ['https://127.0.0.1:1'] }],
  ['"sendProxyProtocol: v2"', { sendProxyProtocol: 'v2' as const, servers: ['http://127.0.0.1:1'] }],
  ['"host", the Host field is passed on as it is', { host: 'server', servers: ['http://127.0.0.1:1'] }],
])('a pool with %s, is refused', async (what, web) => {
  await expect(createBalancer({ pools: { web } })).rejects.toThrow(
    `pool "web" has ${what}: an embedded balancer cannot do that, "holdfast run" can`,
  );
});

test('a reload that brings a refused key changes nothing', async () => {
  const balancer = await createBalancer({ sessions: { max: 1000 }, pools: POOLS });
  const result = await balancer.reload({ threads: 2, pools: POOLS });
  expect(result).toMatchObject({ ok: false, message: expect.stringContaining('"threads" has no effect') });
  expect(balancer.status().revision).toBe(1);
  await balancer.close();
});
