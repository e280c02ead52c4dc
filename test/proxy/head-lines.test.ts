// The heads that go on to servers and clients: what was received, with lines cut out and ours added.

import { describe, expect, test } from 'vitest';
import { RequestHead, ResponseHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { parseResponseHead } from '../../src/http1/response.ts';
import { type Forwarding, forwardingLines, requestLines } from '../../src/proxy/request-lines.ts';
import { Reframe, responseLines } from '../../src/proxy/response-lines.ts';

const LIMITS = { headBytesMax: 32_768, headerCountMax: 100, watched: [] };

function forwardingOf(peerAddress: string, isTrusted: boolean): Forwarding {
  const lines = forwardingLines(peerAddress, 8080);
  return { peerAddress, isTrusted, localPort: 8080, forwardingLines: lines, lastHost: '' };
}

/** Lines of the head that the server gets, without those that the test did not ask about. */
function toServer(lines: readonly string[], forwarding = forwardingOf('198.51.100.7', false)): string[] {
  const buffer = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new RequestHead();
  expect(parseRequestHead(buffer, 0, buffer.length, LIMITS, head)).toBe(buffer.length);
  return requestLines(buffer, head, forwarding, false, 'listener:80').split('\r\n').slice(0, -2);
}

/** Lines of the head that the client gets. */
function toClient(lines: readonly string[], setCookie = '', reframe: Reframe = Reframe.none): string[] {
  const buffer = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new ResponseHead();
  expect(parseResponseHead(buffer, 0, buffer.length, LIMITS, false, head)).toBe(buffer.length);
  return responseLines(buffer, head, reframe, setCookie, '').split('\r\n').slice(0, -2);
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
