// How admin commands fail when there is nobody to ask, when somebody else answers, or when the command line is wrong.

import { describe, expect, test } from 'vitest';
import { httpBackend, tcpBackend } from '../support/backend.ts';
import { commandInside } from '../support/command.ts';

const COMMANDS = [
  ['status'],
  ['status', '--watch'],
  ['events'],
  ['events', '--follow'],
  ['plan', 'drain', 'shop/a'],
  ['explain'],
  ['explain', '--pool', 'shop'],
  ['sessions'],
  ['drain', 'shop/a'],
  ['drain', 'shop/a', '--wait'],
  ['ready', 'shop/a'],
  ['ready', 'shop/a', '--wait'],
  ['maintenance', 'shop/a'],
  ['weight', 'shop/a', '1'],
  ['reload'],
];

describe('an admin server that cannot be asked', () => {
  test('every command says what it tried, what came and what to do, in one line, and exits with 1', async () => {
    const gone = await tcpBackend(() => undefined);
    await gone.close();
    const outcomes = await Promise.all(
      COMMANDS.map((args) => commandInside(args, { HOLDFAST_ADMIN_URL: gone.url })),
    );
    for (const { status, out, err } of outcomes) {
      expect({ status, out }).toEqual({ status: 1, out: '' });
      expect(err).toMatch(
        /^(GET|PATCH|POST) http:\/\/127\.0\.0\.1:\d+\/api\/\S+: nothing listens there; is the balancer running, and is this its admin address\? \(--admin URL or HOLDFAST_ADMIN_URL\)\n$/,
      );
    }
  });

  test('another program at that address is told from the admin API', async () => {
    const other = await httpBackend('other', (_request, response) =>
      response.writeHead(200).end('<h1>Hello\x1b</h1>'),
    );
    const { status, out, err } = await commandInside(['status', '--admin', other.url]);
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toBe(
      `GET ${other.url}/api/status: status 200, which is no answer of Holdfast's admin API (<h1>Hello?</h1>); check --admin\n`,
    );
    const rude = await tcpBackend((socket) => socket.destroy());
    const cut = await commandInside(['reload', '--admin', rude.url]);
    expect(cut.status).toBe(1);
    expect(cut.err).toMatch(/^POST http:\/\/127\.0\.0\.1:\d+\/api\/reload: .+; is the balancer running.*\n$/);
  });

  test('a change that was made has succeeded, also where nobody can be asked what it has left', async () => {
    const server = { name: 'a', state: 'up', mode: 'drain', weight: 1, sessions: 0, inFlight: 0 };
    const half = await httpBackend('half', (request, response) => {
      const isChange = request.method === 'PATCH';
      response.writeHead(isChange ? 200 : 503, { 'content-type': 'application/json' });
      response.end(JSON.stringify(isChange ? { server } : { error: { code: 'busy', message: 'not now' } }));
    });
    expect(await commandInside(['drain', 'shop/a', '--admin', half.url])).toEqual({
      status: 0,
      out: 'shop/a: drain, up, weight 1, 0 sessions, 0 requests in flight\n',
      err: '',
    });
  });

  test('a token that no header can carry is refused without repeating it; blanks around it are none of it', async () => {
    const odd = await commandInside(['status'], { HOLDFAST_ADMIN_TOKEN: 'hidden\u20ac' });
    expect(odd).toEqual({
      status: 1,
      out: '',
      err: 'the token must be at most 1024 visible ASCII characters without spaces\n',
    });
    let got: string | undefined;
    const other = await httpBackend('other', (request, response) => {
      got = request.headers.authorization;
      response.end();
    });
    await commandInside(['status', '--admin', other.url], { HOLDFAST_ADMIN_TOKEN: 'right\n' });
    expect(got).toBe('Bearer right');
  });

  test('a URL with a password is refused without repeating it', async () => {
    const { status, out, err } = await commandInside(['status', '--admin', 'http://me:hidden@127.0.0.1:1']);
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toBe('the admin URL carries a user or password; give a token by --token instead\n');
  });
});

describe('wrong usage has status 2 and an empty standard output', () => {
  test.each([
    [['drain'], /missing required argument 'pool\/server'/],
    [['drain', 'shop/'], /expected POOL\/SERVER/],
    [['drain', 'shop/a', '--deadline', '5s'], /--deadline needs --wait/],
    [['drain', 'shop/a', '--wait', '--deadline', 'soon'], /expected a duration such as/],
    [['weight', 'shop/a'], /missing required argument 'weight'/],
    [['weight', 'shop/a', 'heavy'], /expected 0 to 1000/],
    [['weight', 'shop/a', '1001'], /expected 0 to 1000/],
    [['weight', 'shop/a', '--', '-1'], /expected 0 to 1000/],
    [['sessions', '--top', 'all'], /expected 0 to 1000/],
    [['status', '--admin', 'http://'], /expected a URL such as/],
    [['status', '--admin', 'ftp://x'], /expected a URL such as/],
    [['reload', 'now'], /too many arguments/],
    [['redy', 'shop/a'], /unknown command 'redy'\n\(Did you mean ready\?\)/],
  ])('holdfast %j', async (args, message) => {
    const { status, out, err } = await commandInside(args);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toMatch(message);
  });
});

describe('help names the variables and the exit statuses', () => {
  test.each(['status', 'drain', 'ready', 'maintenance', 'weight', 'sessions', 'reload'])(
    '%s --help',
    async (name) => {
      const { status, out, err } = await commandInside([name, '--help']);
      expect({ status, err }).toEqual({ status: 0, err: '' });
      expect(out).toMatch(/--admin <url>[\s\S]*env: HOLDFAST_ADMIN_URL[\s\S]*--token <token>[\s\S]*--json/);
      expect(out).toContain(
        'Exit status: 0 done, 1 refused or the admin server cannot be reached, 2 wrong usage.',
      );
    },
  );
});
