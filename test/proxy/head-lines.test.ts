// The heads that go on to servers and clients: what was received, with lines cut out and ours added.

import { describe, expect, test } from 'vitest';
import { compileTrusted } from '../../src/base/trusted.ts';
import { clientAddressOf, isSecureClient } from '../../src/exchange/believed.ts';
import { type Forwarding, forwardingLines, requestLines } from '../../src/exchange/request-lines.ts';
import { RequestHead, ResponseHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { parseResponseHead } from '../../src/http1/response.ts';
import { goesRound } from '../../src/http1/via.ts';
import { Reframe, responseLines } from '../../src/proxy/response-lines.ts';

const LIMITS = { headBytesMax: 32_768, headerCountMax: 100, watched: [] };

const isTrustedAddress = compileTrusted(['10.0.0.0/8', '2001:db8:f::/48']);

function forwardingOf(peerAddress: string, isTrusted: boolean): Forwarding {
  const lines = forwardingLines(peerAddress, 'http', 8080);
  return {
    peerAddress,
    isTrusted,
    scheme: 'http',
    localPort: 8080,
    listenAuthority: 'listener:80',
    forwardingLines: lines,
    streamId: 0,
    lastHost: '',
  };
}

const FRONT = forwardingOf('10.0.0.1', true);

/** Lines of the head that the server gets, without those that the test did not ask about. */
function toServer(
  lines: readonly string[],
  forwarding = forwardingOf('198.51.100.7', false),
  via: string | null = null,
): string[] {
  const buffer = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new RequestHead();
  expect(parseRequestHead(buffer, 0, buffer.length, LIMITS, head)).toBe(buffer.length);
  const isSecure = isSecureClient(buffer, head, forwarding, isTrustedAddress);
  return requestLines(buffer, head, forwarding, false, isSecure, via).split('\r\n').slice(0, -2);
}

/** Lines of the head that the client gets. */
function toClient(lines: readonly string[], setCookie = '', reframe: Reframe = Reframe.none): string[] {
  const buffer = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new ResponseHead();
  expect(parseResponseHead(buffer, 0, buffer.length, LIMITS, false, head)).toBe(buffer.length);
  return responseLines(buffer, head, reframe, setCookie, '').split('\r\n').slice(0, -2);
}

/** What the balancer makes of the client behind a trusted peer. */
function believed(...lines: readonly string[]): { address: string; isSecure: boolean } {
  const buffer = Buffer.from(['GET / HTTP/1.1', 'Host: a', ...lines, '', ''].join('\r\n'), 'latin1');
  const head = new RequestHead();
  expect(parseRequestHead(buffer, 0, buffer.length, LIMITS, head)).toBe(buffer.length);
  return {
    address: clientAddressOf(buffer, head, FRONT, isTrustedAddress),
    isSecure: isSecureClient(buffer, head, FRONT, isTrustedAddress),
  };
}

const OURS = /^(x-forwarded-|x-request-id)/;

describe('what was written loosely goes on plainly', () => {
  test.each([
    ['Content-Length:\t5\t', 'content-length: 5'],
    ['Content-Length: 0 ', 'content-length: 0'],
    ['Transfer-Encoding:\tCHUNKED', 'transfer-encoding: chunked'],
  ])('%j of a request', (written, passedOn) => {
    const lines = toServer(['POST / HTTP/1.1', 'Host: a', written, 'X-A: 1']);
    expect(lines.filter((line) => !OURS.test(line))).toEqual([
      'POST / HTTP/1.1',
      'Host: a',
      'X-A: 1',
      passedOn,
    ]);
  });

  test.each([
    ['Content-Length:\t5\t', ['content-length: 5']],
    ['Transfer-Encoding: chunked\t', ['transfer-encoding: chunked']],
  ])('%j of a response', (written, passedOn) => {
    expect(toClient(['HTTP/1.1 200 OK', written, 'X-A: 1'])).toEqual([
      'HTTP/1.1 200 OK',
      'X-A: 1',
      ...passedOn,
    ]);
  });

  test('a chunked response that ends with the connection says nothing of chunks', () => {
    const lines = toClient(['HTTP/1.1 200 OK', 'Transfer-Encoding:\tchunked'], '', Reframe.toClose);
    expect(lines).toEqual(['HTTP/1.1 200 OK']);
  });

  test('a version after 1.1 goes on as 1.1, both ways', () => {
    expect(toServer(['GET /a HTTP/1.7', 'Host: a'])[0]).toBe('GET /a HTTP/1.1');
    expect(toClient(['HTTP/1.7 200 Fine', 'Content-Length: 0'])[0]).toBe('HTTP/1.1 200 Fine');
  });

  test('an empty port is no part of the host', () => {
    expect(toServer(['GET / HTTP/1.1', 'Host: a:'])).toContain('x-forwarded-host: a');
    expect(toServer(['GET http://b:/ HTTP/1.1', 'Host: a'])).toContain('host: b');
  });

  test.each(['204 No Content', '304 Not Modified', '103 Early Hints'])(
    '%s goes on without framing',
    (status) => {
      const framing = ['Content-Length: 5', 'Transfer-Encoding: chunked', 'content-length: 6'];
      expect(toClient([`HTTP/1.1 ${status}`, ...framing, 'ETag: x'])).toEqual([
        `HTTP/1.1 ${status}`,
        'ETag: x',
      ]);
    },
  );

  test('a 304 keeps the one length it says', () => {
    const lines = ['HTTP/1.1 304 Not Modified', 'Content-Length: 5'];
    expect(toClient(lines)).toEqual(lines);
  });
});

describe('behind trusted peers the client is', () => {
  test.each([
    ['203.0.113.9', ['X-Forwarded-For: 203.0.113.9']],
    ['203.0.113.9', ['X-Forwarded-For: 203.0.113.9:50001']],
    ['2001:db8::9', ['X-Forwarded-For: [2001:DB8:0::9]:50001']],
    ['203.0.113.9', ['X-Forwarded-For: ::ffff:203.0.113.9']],
    ['203.0.113.9', ['X-Forwarded-For: 6.6.6.6, 203.0.113.9:1, 10.1.2.3:443, [2001:db8:f::2]:80']],
    ['203.0.113.9', ['X-Forwarded-For: 6.6.6.6, 203.0.113.9', 'X-Forwarded-For: 10.1.2.3']],
    ['203.0.113.9', ['X-Forwarded-For: 6.6.6.6', 'X-A: 1', 'X-Forwarded-For: , 203.0.113.9 ,']],
    ['10.9.9.9', ['X-Forwarded-For: 10.9.9.9, 10.1.1.1']],
    ['10.0.0.1', ['X-Forwarded-For: unknown']],
    ['10.1.2.3', ['X-Forwarded-For: 203.0.113.9, unknown, 10.1.2.3']],
    ['10.0.0.1', ['X-Forwarded-For:']],
    ['10.0.0.1', []],
    ['203.0.113.9', ['Forwarded: for=6.6.6.6, for="203.0.113.9:4711";proto=https, for=10.1.2.3']],
    ['2001:db8::9', ['Forwarded: for=6.6.6.6', 'Forwarded: For="[2001:db8::9]:4711"']],
    ['203.0.113.9', ['X-Forwarded-For: 203.0.113.9', 'Forwarded: for=6.6.6.6']],
    ['10.0.0.1', ['Forwarded: for=6.6.6.6; for']],
    ['10.0.0.1', ['X-Real-IP: 6.6.6.6']],
  ])('%s in %j', (address, lines) => {
    expect(believed(...lines).address).toBe(address);
  });

  test.each([
    [true, ['X-Forwarded-Proto: HTTPS']],
    [true, ['X-Forwarded-Proto: wss']],
    [false, ['X-Forwarded-Proto: http']],
    [false, ['X-Forwarded-For: 203.0.113.9']],
    [true, ['X-Forwarded-For: 203.0.113.9, 10.1.2.3', 'X-Forwarded-Proto: https, http']],
    [true, ['X-Forwarded-For: 203.0.113.9, 10.1.2.3', 'X-Forwarded-Proto: https', 'X-Forwarded-Proto: http']],
    [false, ['X-Forwarded-For: 6.6.6.6, 203.0.113.9', 'X-Forwarded-Proto: https, http']],
    [true, ['X-Forwarded-For: 203.0.113.9', 'X-Forwarded-Proto: https,http']],
    [true, ['X-Forwarded-Proto: https,http']],
    [true, ['Forwarded: for=203.0.113.9;proto=https, for=10.1.2.3;proto=http']],
    [false, ['Forwarded: for=6.6.6.6;proto=https, for=203.0.113.9;proto=http']],
    [false, ['Forwarded: for=203.0.113.9;proto=https', 'X-Forwarded-Proto: http']],
  ])('over TLS: %s in %j', (isSecure, lines) => {
    expect(believed(...lines).isSecure).toBe(isSecure);
  });

  test('the peer, whatever an untrusted one says', () => {
    const buffer = Buffer.from(
      'GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\r\n',
    );
    const head = new RequestHead();
    parseRequestHead(buffer, 0, buffer.length, LIMITS, head);
    const peer = forwardingOf('198.51.100.7', false);
    expect(clientAddressOf(buffer, head, peer, isTrustedAddress)).toBe('198.51.100.7');
    expect(isSecureClient(buffer, head, peer, isTrustedAddress)).toBe(false);
  });
});

describe('forwarding fields', () => {
  const FAMILY = [
    ...[
      'X-Forwarded-For: 6.6.6.6',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: evil',
      'X-Forwarded-Port: 1',
    ],
    ...['X-Forwarded-Prefix: /evil', 'X-Forwarded-Ssl: on', 'X-Forwarded-User: root', 'x-forwarded: 6.6.6.6'],
    ...[`X-Forwarded-${'Very-'.repeat(8)}Long: 1`, 'Forwarded: for=6.6.6.6', 'X-Real-IP: 6.6.6.6'],
  ];
  const ENDS = [
    'host: a',
    'X-Kept: 1',
    'x-forwarded-for: 198.51.100.7',
    'x-forwarded-proto: http',
    'x-forwarded-port: 8080',
    'x-forwarded-host: a',
  ];

  test.each([
    ['as they are', (line: string) => line],
    ['with underscores', (line: string) => line.replaceAll('-', '_')],
    ['with one underscore', (line: string) => line.replace(/-(?=[^-]*:)/, '_')],
    ['in capitals', (line: string) => line.toUpperCase()],
  ])('of a client that is not trusted go, the whole family, %s', (_, write) => {
    const family = FAMILY.map(write).filter((line) => write('a-b:') !== 'a_b:' || line.includes('_'));
    const lines = toServer(['GET / HTTP/1.1', 'host: a', ...family, 'X-Kept: 1']);
    expect(lines.slice(1).filter((line) => !line.startsWith('x-request-id: '))).toEqual(ENDS);
  });

  test('whose names only begin alike pass', () => {
    const alike = [
      'X-Forwardedness: 1',
      'X-Forward: 1',
      'X-Real-IPs: 1',
      'X-Forwarde: 1',
      'Forwarded-For: 1',
    ];
    const lines = toServer(['GET / HTTP/1.1', 'host: a', ...alike]);
    expect(lines).toEqual(expect.arrayContaining(alike));
  });

  test('of a trusted peer pass, and its address is appended', () => {
    const lines = toServer(['GET / HTTP/1.1', 'host: a', ...FAMILY], FRONT);
    expect(lines).toEqual(
      expect.arrayContaining(FAMILY.filter((line) => !/^(X-Forwarded-For|Forwarded):/.test(line))),
    );
    expect(lines).toContain('x-forwarded-for: 6.6.6.6, 10.0.0.1');
    expect(lines).toContain('forwarded: for=6.6.6.6, for=10.0.0.1');
    expect(lines.filter((line) => /^(x-)?forwarded(-for)?:/i.test(line))).toHaveLength(3);
  });

  test('of a trusted peer go where they only look like forwarding fields, and its request id stays the only one', () => {
    const own = ['X-Request-Id: mine', 'X-Forwarded-For: 9.9.9.9'];
    const alike = [
      'X_Forwarded_Prefix: /a',
      'X-Forwarded_For: 6.6.6.6',
      'X_Real_IP: 6.6.6.6',
      'X_Request_Id: b',
    ];
    const lines = toServer(['GET / HTTP/1.1', 'host: a', ...own, ...alike], FRONT);
    expect(lines.filter((line) => line.includes('_'))).toEqual([]);
    expect(lines.filter((line) => /^x-request-id/i.test(line))).toEqual(['X-Request-Id: mine']);
  });

  test('of a trusted peer on several lines are one list, in their order', () => {
    const lines = toServer(
      [
        'GET / HTTP/1.1',
        'X-Forwarded-For: 1.1.1.1',
        'host: a',
        'x-forwarded-for: 2.2.2.2,3.3.3.3',
        'X-FORWARDED-FOR:',
      ],
      FRONT,
    );
    expect(lines.filter((line) => /^x-forwarded-for/i.test(line))).toEqual([
      'x-forwarded-for: 1.1.1.1, 2.2.2.2,3.3.3.3, 10.0.0.1',
    ]);
  });

  test('that only Forwarded has are told in X-Forwarded-* as well', () => {
    const peer = forwardingOf('2001:db8:f::1', true);
    const forwarded = 'Forwarded: for="[2001:DB8::9]:1";proto=https, for=_x';
    const lines = toServer(['GET / HTTP/1.1', 'host: a', forwarded], peer);
    expect(lines).toContain('x-forwarded-for: 2001:db8::9, unknown, 2001:db8:f::1');
    expect(lines).toContain('forwarded: for="[2001:DB8::9]:1";proto=https, for=_x, for="[2001:db8:f::1]"');
    expect(toServer(['GET / HTTP/1.1', 'host: a', 'Forwarded: for=9.9.9.9;proto=https'], peer)).toContain(
      'x-forwarded-proto: https',
    );
  });

  test('that a trusted peer leaves out are added', () => {
    const lines = toServer(['GET / HTTP/1.1', 'host: a', 'X-Real-IP: 9.9.9.9'], FRONT);
    expect(lines).toEqual([
      'GET / HTTP/1.1',
      'host: a',
      'X-Real-IP: 9.9.9.9',
      'x-forwarded-for: 10.0.0.1',
      'x-forwarded-proto: http',
      'x-forwarded-host: a',
      'x-forwarded-port: 8080',
      expect.stringMatching(/^x-request-id: [0-9a-f]{16}-\d+$/),
    ]);
  });
});

describe('a response that gets our cookie is kept by no shared cache', () => {
  const PRIVATE = 'cache-control: private';
  test.each([
    [[], [PRIVATE]],
    [['Cache-Control: public, max-age=60'], ['Cache-Control: max-age=60', PRIVATE]],
    [['cache-control: s-maxage=600'], [PRIVATE]],
    [['Cache-Control: PUBLIC,S-MaxAge = 5, must-revalidate'], ['Cache-Control: must-revalidate', PRIVATE]],
    [['Expires: Wed, 01 Jan 2031 00:00:00 GMT'], ['Expires: Wed, 01 Jan 2031 00:00:00 GMT', PRIVATE]],
    [
      ['Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT'],
      ['Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT', PRIVATE],
    ],
    [['CDN-Cache-Control: max-age=600'], [PRIVATE]],
    [
      ['Cloudflare-CDN-Cache-Control: public', 'Surrogate-Control: max-age=1', 'X-Accel-Expires: 9'],
      [PRIVATE],
    ],
    [['Cache-Control: private', 'CDN-Cache-Control: max-age=600'], ['Cache-Control: private']],
    [['Cache-Control: max-age=60, private="x-a, set-cookie"'], ['Cache-Control: max-age=60', PRIVATE]],
    [
      ['Cache-Control: x-not-private, ext="no-store, private"'],
      ['Cache-Control: x-not-private, ext="no-store, private"', PRIVATE],
    ],
    [['Cache-Control: no-cache="a'], ['Cache-Control: no-cache="a', PRIVATE]],
    [
      ['Cache-Control: max-age=60', 'cache-control: Private'],
      ['Cache-Control: max-age=60', 'cache-control: Private'],
    ],
    [['Cache-Control: no-store'], ['Cache-Control: no-store']],
    [['Cache-Control:   no-store ,private'], ['Cache-Control:   no-store ,private']],
    [['Cache-Control: public, private'], ['Cache-Control: private']],
    [
      ['Vary: *', 'Pragma: no-cache'],
      ['Vary: *', 'Pragma: no-cache', PRIVATE],
    ],
  ])('%j becomes %j', (lines, expected) => {
    expect(toClient(['HTTP/1.1 204 No Content', ...lines], 'holdfast=x')).toEqual([
      'HTTP/1.1 204 No Content',
      ...expected,
      'set-cookie: holdfast=x',
    ]);
    expect(toClient(['HTTP/1.1 204 No Content', ...lines])).toEqual(['HTTP/1.1 204 No Content', ...lines]);
  });
});

describe('the way a request has come', () => {
  const ROUND = (count: number): string =>
    `Via: ${Array.from({ length: count }, () => '1.1 Holdfast').join(', ')}`;

  test('is told in Via, after what others have said of it, in the version it came in', () => {
    const lines = toServer(['GET / HTTP/1.1', 'Host: a', 'Via: 1.0 fred'], FRONT, 'holdfast');
    expect(lines.filter((line) => /^via/i.test(line))).toEqual(['Via: 1.0 fred', 'via: 1.1 holdfast']);
    expect(toServer(['GET / HTTP/1.0', 'X-Forwarded-For: 9.9.9.9'], FRONT, 'x')).toContain('via: 1.0 x');
    expect(toServer(['GET / HTTP/1.1', 'Host: a']).filter((line) => line.startsWith('via'))).toEqual([]);
  });

  test.each([
    [false, []],
    [false, ['Via: 1.1 fred, 1.1 fred, 1.1 fred, 1.1 fred, 1.1 fred']],
    [false, [ROUND(3)]],
    [true, [ROUND(4)]],
    [true, [ROUND(2), 'X-A: 1', 'VIA:1.1\tholdfast , HTTP/1.0 HOLDFAST (comment)']],
    [false, [ROUND(3), 'Via: 1.1 fred (1.1 holdfast)']],
    [false, [ROUND(3), 'Via: 1.1 holdfast-two']],
    [false, [ROUND(3), 'Via: holdfast']],
  ])('is a loop: %s for %j', (isLoop, via) => {
    const buffer = Buffer.from(['GET / HTTP/1.1', 'Host: a', ...via, '', ''].join('\r\n'));
    const head = new RequestHead();
    expect(parseRequestHead(buffer, 0, buffer.length, LIMITS, head)).toBe(buffer.length);
    expect(goesRound(buffer, head, 'holdfast')).toBe(isLoop);
    expect(goesRound(buffer, head, null)).toBe(false);
  });

  test.each([
    ['OPTIONS * HTTP/1.1', 'Max-Forwards: 5', 5, ['max-forwards: 4']],
    ['OPTIONS / HTTP/1.1', 'max-forwards: 1', 1, ['max-forwards: 0']],
    ['OPTIONS / HTTP/1.1', 'Max-Forwards: 0', 0, []],
    ['OPTIONS / HTTP/1.1', 'Max-Forwards: -1', -1, ['Max-Forwards: -1']],
    ['OPTIONS / HTTP/1.1', 'X-A: 1', -1, []],
    ['GET / HTTP/1.1', 'Max-Forwards: 5', -1, ['Max-Forwards: 5']],
  ])('%s with %s', (first, line, maxForwards, passedOn) => {
    const buffer = Buffer.from([first, 'Host: a', line, '', ''].join('\r\n'));
    const head = new RequestHead();
    expect(parseRequestHead(buffer, 0, buffer.length, LIMITS, head)).toBe(buffer.length);
    expect(head.maxForwards).toBe(maxForwards);
    expect(toServer([first, 'Host: a', line]).filter((one) => /^max-/i.test(one))).toEqual(passedOn);
  });
});
