// The admin commands against a real balancer: what they print, what they change, how they fail.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { commandInside, type Outcome, startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside, type StatusServer } from '../support/holdfast.ts';
import { type SessionServer, serversYaml, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

const TOKEN = 'a-token-that-nobody-may-see';

function yamlFor(servers: readonly SessionServer[], more = ''): string {
  return `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0, token: "\${HOLDFAST_ADMIN_TOKEN:-}" }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: cookie-hash, secret: the-secret-of-the-cookie${more} }
    servers:
${serversYaml(servers)}`;
}

interface Fixture {
  readonly holdfast: Holdfast;
  readonly servers: readonly SessionServer[];
  run(...args: string[]): Promise<Outcome>;
}

async function fixture(token = '', more = ''): Promise<Fixture> {
  const servers = await sessionServers(3);
  const holdfast = await runInside(yamlFor(servers, more), {
    threads: 1,
    env: { HOLDFAST_ADMIN_TOKEN: token },
  });
  const run = (...args: string[]): Promise<Outcome> => commandInside([...args, '--admin', holdfast.adminUrl]);
  return { holdfast, servers, run };
}

async function serverNamed(holdfast: Holdfast, name: string): Promise<StatusServer> {
  return (await holdfast.status()).pools[0]!.servers.find((server) => server.name === name)!;
}

/** `count` sessions, each confirmed by a second request, spread evenly; resolves once the sweep has counted them. */
async function beginSessions(holdfast: Holdfast, count: number): Promise<User[]> {
  const users = Array.from({ length: count }, (_, number) => new User(holdfast.port, number));
  for (const user of users) {
    user.home = await user.where();
    await user.get();
  }
  await eventually(async () => (await holdfast.status()).pools[0]!.sessions === count);
  return users;
}

describe('status and sessions', () => {
  test('show every pool and server, aligned; --json is the document of the API', async () => {
    const { holdfast, servers, run } = await fixture();
    await beginSessions(holdfast, 6);
    const { status, out, err } = await run('status');
    expect({ status, err }).toEqual({ status: 0, err: '' });
    const lines = out.split('\n');
    expect(lines[0]).toBe('all well');
    expect(lines[1]).toMatch(/^\S+: holdfast \d\S*, revision 1, 1 thread, up \S+, session table 6 of \d+$/);
    expect(lines[3]).toMatch(
      /^pool shop: least-sessions, sticky cookie-hash, state local, 6 sessions, 12 requests, 0 errors, skew 1\.00 \(by chance \d\.\d\d\)$/,
    );
    expect(lines[4]).toMatch(
      /^SERVER {2}STATE {2}MODE {3}WEIGHT {2}SESSIONS {2}IN FLIGHT {2}REQUESTS {2}5XX {2}FAILURES {2}LOST {2}URL +NOTES$/,
    );
    expect(lines[5]).toBe(
      `a       up     ready       1         2          0         4    0         0     0  ${servers[0]!.url}`,
    );
    expect(lines.length).toBe(9);
    const json = JSON.parse((await run('status', '--json')).out) as {
      pools: { name: string; sessions: number }[];
    };
    expect(json.pools.map(({ name, sessions }) => [name, sessions])).toEqual([['shop', 6]]);
  });

  test('sessions: one pool or all, with the hottest sessions by hashed key', async () => {
    const { holdfast, run } = await fixture();
    const users = await beginSessions(holdfast, 3);
    const cookie = users[0]!.jar.get('holdfast')!;
    const { status, out, err } = await run('sessions', 'shop', '--top', '2');
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(/^skew of load: by requests \d\.\d{3}, in flight \d\.\d{3}$/m);
    expect(out).toContain('pool shop: 3 sessions, sticky cookie-hash, state local\nskew 1.000 (by chance ');
    expect(out).toContain(
      '\nSERVER  WEIGHT  SESSIONS  SHARE  CREATED  ENDED  LOST\na            1         1  33.3%        1      0     0\n',
    );
    expect(out.match(/^[0-9a-f]{8} {2}[abc] {7}\d/gm)).toHaveLength(2);
    expect(out).not.toContain(cookie.slice(0, 8));
    const json = JSON.parse((await run('sessions', '--top', '1', '--json')).out) as {
      pools: { hottest: unknown[] }[];
    };
    expect(json.pools[0]!.hottest).toHaveLength(1);
    expect(await run('sessions', 'shpo')).toEqual({
      status: 1,
      out: '',
      err: 'there is no pool shpo, did you mean "shop"?\n',
    });
  });

  test('status --watch --json prints one line of JSON a second, without --json the table again and again', async () => {
    const { holdfast } = await fixture();
    const json = startCommand(['status', '--watch', '--json', '--admin', holdfast.adminUrl]);
    const text = startCommand(['status', '--watch', '--admin', holdfast.adminUrl]);
    await eventually(() => json.out().split('\n').length >= 3);
    await eventually(() => text.out().split('holdfast 0').length >= 3);
    const [first = '', second = ''] = json.out().split('\n');
    const uptimes = [first, second].map(
      (line) => (JSON.parse(line) as { uptimeSeconds: number }).uptimeSeconds,
    );
    expect(uptimes[1]! - uptimes[0]!).toBeGreaterThan(0.8);
    expect(text.out()).not.toContain('\x1b');
    await holdfast.stop();
    const end = await text.ended;
    expect(end.status).toBe(1);
    expect(end.err).toMatch(/^GET http:\/\/127\.0\.0\.1:\d+\/api\/status: .*\n$/);
  });
});

const hasScript = spawnSync('script', ['--version']).status === 0;

/** Of a person: Node shows no colours where CI is set. */
const TERMINAL = {
  ...process.env,
  ...{ TERM: 'xterm', NO_COLOR: '', FORCE_COLOR: undefined, CI: undefined, COLUMNS: '60' },
};

test.skipIf(!hasScript)('status --watch redraws a terminal (needs script(1) for a terminal)', async () => {
  const { holdfast } = await fixture();
  const launcher = fileURLToPath(new URL('../../src/holdfast.mjs', import.meta.url));
  const line = `${process.execPath} ${launcher} status --watch --admin ${holdfast.adminUrl}`;
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: TERMINAL,
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  await eventually(() => out.split('\x1b[H\x1b[J\x1b[32mall well').length >= 3);
  expect(out).toContain('Ctrl-C ends.');
  const shown = out.split('\x1b').map((part) => part.replace(/^\[[\d;]*[mHJ]/, ''));
  const widths = shown
    .join('')
    .split('\r\n')
    .map(({ length }) => length);
  expect(Math.max(...widths)).toBeLessThanOrEqual(60);
  await holdfast.stop();
  await eventually(() => out.includes('nothing listens there; is the balancer running'));
  child.stdin.write('\x03');
  await once(child, 'exit');
});

describe('modes and weight', () => {
  test('drain, maintenance, ready and weight change the server and say what it is then', async () => {
    const { holdfast, run } = await fixture();
    const line = (mode: string, state: string, weight = 1): string =>
      `shop/b: ${mode}, ${state}, weight ${weight}, 0 sessions, 0 requests in flight\n`;
    // what was found before maintenance says nothing any more: the server is checked anew
    for (const [mode, state] of [
      ['drain', 'up'],
      ['maintenance', 'up'],
      ['ready', 'starting'],
    ] as const) {
      expect(await run(mode, 'shop/b')).toEqual({ status: 0, out: line(mode, state), err: '' });
      expect((await serverNamed(holdfast, 'b')).mode).toBe(mode);
    }
    await eventually(async () => (await serverNamed(holdfast, 'b')).state === 'up');
    expect(await run('weight', 'shop/b', '2.5')).toEqual({
      status: 0,
      out: line('ready', 'up', 2.5),
      err: '',
    });
    const json = JSON.parse((await run('weight', 'shop/b', '0', '--json')).out) as {
      pool: string;
      server: StatusServer;
    };
    expect([json.pool, json.server.name, json.server.weight]).toEqual(['shop', 'b', 0]);
    const { pools } = await holdfast.status();
    expect(pools[0]!.servers.map(({ weight }) => weight)).toEqual([1, 0, 1]);
  });

  test('an unknown server or pool is named, with the nearest known', async () => {
    const { run } = await fixture();
    const refused = (err: string): Outcome => ({ status: 1, out: '', err: `${err}\n` });
    expect(await run('drain', 'shop/bb')).toEqual(
      refused('there is no server bb in pool shop, did you mean "b"?'),
    );
    expect(await run('ready', 'shop/zebra')).toEqual(
      refused('there is no server zebra in pool shop; it has a, b, c'),
    );
    expect(await run('weight', 'shoop/a', '1')).toEqual(
      refused('there is no pool shoop, did you mean "shop"?'),
    );
    expect(await run('drain', 'x/a', '--wait')).toEqual(refused('there is no pool x; the only one is shop'));
    expect(await run('plan', 'drain', 'shop/zebra')).toEqual(
      refused('there is no server zebra in pool shop; it has a, b, c'),
    );
    expect(await run('plan', 'add', 'x/z')).toEqual(refused('there is no pool x; the only one is shop'));
    expect(await run('explain', '--pool', 'shoop')).toEqual(
      refused('there is no pool shoop, did you mean "shop"?'),
    );
  });
});

describe('reload', () => {
  test('says what changed, nothing, or why not', async () => {
    const { holdfast, servers, run } = await fixture();
    expect(await run('reload')).toEqual({ status: 0, out: 'revision 2\nno changes\n', err: '' });
    writeFileSync(holdfast.configFile, yamlFor(servers.slice(0, 2)));
    expect(await run('reload')).toEqual({
      status: 0,
      out: 'revision 3\npool shop: server c removed\n',
      err: '',
    });
    expect(JSON.parse((await run('reload', '--json')).out)).toEqual({ revision: 4, changes: [] });
    writeFileSync(holdfast.configFile, yamlFor(servers).replace('policy', 'polcy'));
    expect(await run('reload')).toEqual({
      status: 1,
      out: '',
      err: `reload refused, nothing has changed: ${holdfast.configFile}:6:5: unknown key "polcy" in "shop", did you mean "policy"?\n`,
    });
    expect((await holdfast.status()).revision).toBe(4);
  });
});

describe('token', () => {
  test('changes need it, by option or environment; no output ever shows it', async () => {
    const { holdfast, run } = await fixture(TOKEN);
    const drain = ['drain', 'shop/a', '--admin', holdfast.adminUrl];
    const outcomes = [
      await commandInside(drain),
      await commandInside([...drain, '--token', 'wrong']),
      await commandInside(drain, { HOLDFAST_ADMIN_TOKEN: TOKEN }),
      await commandInside([...drain, '--token', TOKEN, '--json']),
      await commandInside(['reload', '--admin', holdfast.adminUrl], { HOLDFAST_ADMIN_TOKEN: `${TOKEN}x` }),
      await commandInside(['weight', 'shop/a', 'many', '--token', TOKEN], { HOLDFAST_ADMIN_TOKEN: TOKEN }),
      await commandInside(['drain', '--help'], { HOLDFAST_ADMIN_TOKEN: TOKEN }),
      await run('status', '--json'),
      await run('sessions', '--json'),
    ];
    expect(outcomes.map(({ status }) => status)).toEqual([1, 1, 0, 0, 1, 2, 0, 0, 0]);
    const tried = `PATCH ${holdfast.adminUrl}/api/pools/shop/servers/a`;
    expect(outcomes[0]!.err).toBe(
      `${tried}: a token is needed; give it by HOLDFAST_ADMIN_TOKEN or --token\n`,
    );
    expect(outcomes[1]!.err).toBe(
      `${tried}: the token was refused; give the one in the configuration by HOLDFAST_ADMIN_TOKEN or --token\n`,
    );
    const check = await commandInside(['check', '--print', '--config', holdfast.configFile], {
      HOLDFAST_ADMIN_TOKEN: TOKEN,
    });
    expect(check.status).toBe(0);
    const said = [...outcomes, check].map(({ out, err }) => out + err).join('');
    const everything = said + holdfast.log() + (await holdfast.metrics());
    expect(everything).not.toContain(TOKEN);
    expect(everything).not.toContain('the-secret-of-the-cookie');
  });
});
