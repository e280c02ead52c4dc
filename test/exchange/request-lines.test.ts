// The head for the server where the route strips its path, and where a trusted peer has said a part of what we say.

import { describe, expect, test } from 'vitest';
import {
  type Forwarding,
  forwardingLines,
  requestIdOf,
  requestLines,
} from '../../src/exchange/request-lines.ts';
import { RequestHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';

const LIMITS = { headBytesMax: 32_768, headerCountMax: 100, watched: [] };

function forwardingOf(isTrusted: boolean): Forwarding {
  return {
    ...{ peerAddress: '10.0.0.1', isTrusted, scheme: 'http', localPort: 8080, streamId: 0 },
    ...{
      listenAuthority: 'listener:80',
      lastHost: '',
      forwardingLines: forwardingLines('10.0.0.1', 'http', 8080),
    },
  };
}

interface Said {
  readonly strips?: string;
  readonly forwarding?: Forwarding;
  readonly isSecure?: boolean;
  readonly isUpgrade?: boolean;
}

/** Lines of the head that the server gets. */
function toServer(lines: readonly string[], said: Said = {}): readonly string[] {
  const { strips = '', forwarding = forwardingOf(false), isSecure = false, isUpgrade = false } = said;
  const buffer = Buffer.from(`before${lines.join('\r\n')}\r\n\r\nafter`, 'latin1');
  const head = new RequestHead();
  expect(parseRequestHead(buffer, 6, buffer.length - 5, LIMITS, head)).toBe(buffer.length - 5);
  head.strippedBytes = strips.length;
  return requestLines(buffer, head, forwarding, isUpgrade, isSecure, null).split('\r\n').slice(0, -2);
}

describe('a path that the route strips', () => {
  test.each([
    ['GET /app/x/y?z=/app HTTP/1.1', 'GET /x/y?z=/app HTTP/1.1'],
    ['GET /app HTTP/1.1', 'GET / HTTP/1.1'],
    ['GET /app?z HTTP/1.1', 'GET /?z HTTP/1.1'],
    ['GET /app/ HTTP/1.0', 'GET / HTTP/1.1'],
    ['GET http://a/app/x HTTP/1.1', 'GET /x HTTP/1.1'],
    ['GET http://a/app HTTP/1.1', 'GET / HTTP/1.1'],
    // all of what the route has is not the server as a whole
    ['OPTIONS /app HTTP/1.1', 'OPTIONS / HTTP/1.1'],
    ['OPTIONS http://a/app HTTP/1.1', 'OPTIONS / HTTP/1.1'],
  ])('%s goes on as %s, and what is gone is told', (line, passedOn) => {
    for (const isTrusted of [false, true]) {
      const forwarding = forwardingOf(isTrusted);
      const lines = toServer([line, 'Host: a', 'X-A: 1', 'X-Forwarded-Prefix: /mine'], {
        strips: '/app',
        forwarding,
      });
      expect(lines[0]).toBe(passedOn);
      expect(lines.filter((one) => one.startsWith('x-forwarded-prefix'))).toEqual([
        'x-forwarded-prefix: /app',
      ]);
      expect(lines.filter((one) => /^(host|x-a):/i.test(one)).sort()).toEqual(
        line.includes('http://') ? ['X-A: 1', 'host: a'] : ['Host: a', 'X-A: 1'],
      );
    }
  });

  test('nothing is told where nothing is stripped', () => {
    expect(toServer(['GET /app HTTP/1.1', 'Host: a']).join()).not.toContain('prefix');
  });
});

test.each([
  ['GET http://a HTTP/1.1', 'GET / HTTP/1.1'],
  ['OPTIONS http://a HTTP/1.1', 'OPTIONS * HTTP/1.1'],
  ['OPTIONS http://a/ HTTP/1.1', 'OPTIONS / HTTP/1.1'],
  ['OPTIONS * HTTP/1.1', 'OPTIONS * HTTP/1.1'],
])('%s goes on as %s', (line, passedOn) => {
  expect(toServer([line, 'Host: a'])[0]).toBe(passedOn);
});

describe('what a trusted peer has said', () => {
  const SAID = {
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'shop.example',
    'x-forwarded-port': '443',
    'x-request-id': 'r-1',
  };
  const ADDED = [
    'x-forwarded-proto: http',
    'x-forwarded-host: a',
    'x-forwarded-port: 8080',
    expect.stringMatching(/^x-request-id: [0-9a-f]{16}-\d+$/),
  ];
  const names = Object.keys(SAID) as (keyof typeof SAID)[];

  test.each([...names.map((name) => [name]), names, []])(
    'but for %s %s %s %s: the rest is added once',
    (...missing) => {
      const own = names.filter((name) => !missing.includes(name)).map((name) => `${name}: ${SAID[name]}`);
      const lines = toServer(['GET / HTTP/1.1', 'Host: a', 'X-Forwarded-For: 9.9.9.9', ...own], {
        forwarding: forwardingOf(true),
      });
      expect(lines).toEqual([
        ...['GET / HTTP/1.1', 'Host: a', ...own, 'x-forwarded-for: 9.9.9.9, 10.0.0.1'],
        ...ADDED.filter((_, index) => missing.includes(names[index]!)),
      ]);
    },
  );

  test('nothing: the scheme is the one that is believed', () => {
    const lines = toServer(['GET / HTTP/1.1', 'Host: a', 'X-Forwarded-For: 9.9.9.9'], {
      ...{ forwarding: forwardingOf(true), isSecure: true },
    });
    expect(lines).toContain('x-forwarded-proto: https');
  });

  test('an id of ours is another each time; a long one of a peer is cut where we say it', () => {
    const id = (isTrusted: boolean, said = ''): string => {
      const buffer = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${said && `X-Request-Id: ${said}\r\n`}\r\n`);
      const head = new RequestHead();
      parseRequestHead(buffer, 0, buffer.length, LIMITS, head);
      return requestIdOf(buffer, head, { isTrusted });
    };
    const made = [id(true), id(false), id(false, 'r-1')];
    expect(new Set(made.map((one) => one.replace(/-\d+$/, ''))).size).toBe(1);
    expect(new Set(made).size).toBe(3);
    expect([id(true, 'r-1'), id(true, 'x'.repeat(300))]).toEqual(['r-1', 'x'.repeat(256)]);
  });
});

test('each request of a connection is for its own host, whatever the one before was for', () => {
  const forwarding = forwardingOf(false);
  const hosts = ['shop.example', 'shop.exampla', 'shap.example', 'shop', 'shop.example:8', 'shop', ''];
  const told = hosts.map((host) =>
    toServer(host ? ['GET / HTTP/1.1', `Host: ${host}`] : ['GET / HTTP/1.0'], { forwarding }).find((line) =>
      line.startsWith('x-forwarded-host'),
    ),
  );
  expect(told).toEqual(hosts.map((host) => `x-forwarded-host: ${host || 'listener:80'}`));
});

test('an upgrade is told with the name that was asked for', () => {
  const lines = ['GET / HTTP/1.1', 'Host: a', 'Connection: keep-alive, Upgrade', 'Upgrade: websocket'];
  expect(toServer(lines, { isUpgrade: true }).slice(-2)).toEqual([
    'connection: upgrade',
    'upgrade: websocket',
  ]);
  expect(toServer(lines).join('\n')).not.toMatch(/upgrade/i);
});
