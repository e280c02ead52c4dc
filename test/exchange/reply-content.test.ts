// Which form of our own reply a request gets, and what is in it.

import { describe, expect, test } from 'vitest';
import { FAILURES } from '../../src/base/failure.ts';
import { plainContent, reasonOf, replyContent } from '../../src/exchange/reply-content.ts';

const typeFor = (fields: string): string =>
  replyContent('no-server', '', fields, '', []).type.split(';')[0] ?? '';

const BROWSER =
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7';

describe('the form', () => {
  test.each([
    ['no Accept', '', 'text/plain'],
    ['curl', 'Accept: */*\r\n', 'text/plain'],
    ['a browser', `Accept: ${BROWSER}\r\n`, 'text/html'],
    ['an image in a page', 'Accept: image/avif,image/webp,*/*;q=0.8\r\n', 'text/plain'],
    ['a client of an API', 'accept: application/json\r\n', 'application/json'],
    ['axios: JSON first, all else too', 'Accept: application/json, text/plain, */*\r\n', 'application/json'],
    ['the higher quality wins', 'Accept: text/html;q=0.4, application/json;q=0.9\r\n', 'application/json'],
    ['a quality a little higher wins over a name', 'Accept: text/html;q=0.9, */*;q=0.905\r\n', 'text/plain'],
    ['q=0 is refused', 'Accept: text/html;q=0, application/json;q=0.1\r\n', 'application/json'],
    ['a range without what it excludes', 'Accept: text/*, text/plain;q=0\r\n', 'text/html'],
    ['nothing that we have', 'Accept: image/png\r\n', 'text/plain'],
    ['lines of the same name are one list', 'Accept: image/png\r\nACCEPT: text/html\r\n', 'text/html'],
    ['a quality that is none counts as 1', 'Accept: text/html;q=high, text/plain;q=0.9\r\n', 'text/html'],
    ['a quality below 0 counts as 1', 'Accept: text/html;q=-1, text/plain;q=0.9\r\n', 'text/html'],
    ['a quality above 1 counts as 1', 'Accept: application/json, text/html;q=7\r\n', 'application/json'],
    ['capitals', 'Accept: Text/HTML\r\n', 'text/html'],
    ['a name that only ends alike', 'X-Accept: text/html\r\n', 'text/plain'],
    [
      'gRPC, whatever it accepts',
      'Content-Type: application/grpc+proto\r\nAccept: text/html\r\n',
      'application/grpc+proto',
    ],
  ])('%s', (_, fields, type) => {
    expect(typeFor(fields)).toBe(type);
  });
});

describe('ours', () => {
  test('text: status, reason and what was wrong', () => {
    expect(plainContent('no-server', '')).toEqual({
      type: 'text/plain; charset=utf-8',
      body: '503 Service Unavailable: no server of the pool can take the request\n',
    });
    expect(plainContent('bad-request', 'malformed method').body).toBe('400 Bad Request: malformed method\n');
  });

  test('JSON, as errors of the admin API look, with the id', () => {
    const { body } = replyContent('no-server', '', 'accept: application/json', 'r-1', []);
    expect(JSON.parse(body)).toEqual({
      error: {
        code: 'no-server',
        message: 'no server of the pool can take the request',
        status: 503,
        requestId: 'r-1',
      },
    });
  });

  test('HTML: nothing of the request is markup', () => {
    const { body } = replyContent('bad-response', '<i>é</i>', 'accept: text/html', '"><b>', []);
    const text = Buffer.from(body, 'latin1').toString('utf8');
    expect(text).toContain('<title>502 Bad Gateway</title>');
    expect(text).toContain('<p>&#60;i&#62;é&#60;/i&#62;.</p>');
    expect(text).toContain('Request &#34;&#62;&#60;b&#62;');
  });

  test('what is no error is said in plain text to everybody', () => {
    expect(replyContent('redirected', '', 'accept: text/html', '', []).type).toContain('text/plain');
  });
});

describe("the operator's", () => {
  const html = 'accept: text/html';
  const bodyOf = (pages: Parameters<typeof replyContent>[4], fields = html): string =>
    replyContent('no-server', '', fields, 'r<1', pages).body;

  test("a status before its class, the pool's before those of all", () => {
    const all = { '503': { html: 'all 503' }, '5xx': { html: 'all 5xx', json: '"all"' } };
    expect(bodyOf([{}, all])).toBe('all 503');
    expect(bodyOf([{ '5xx': { html: 'pool 5xx' } }, all])).toBe('pool 5xx');
    expect(bodyOf([{ '5xx': { html: 'pool 5xx' }, '503': { html: 'pool 503' } }, all])).toBe('pool 503');
    expect(bodyOf([{ '502': { html: 'pool 502' } }, all])).toBe('all 503');
  });

  test('a form that it does not have is ours or comes from further out', () => {
    const all = { '503': { html: 'all 503' }, '5xx': { json: '"all"' } };
    expect(bodyOf([{ '503': { html: 'pool' } }, all], 'accept: application/json')).toBe('"all"');
    expect(bodyOf([{}, all], 'accept: */*')).toMatch(/^503 Service Unavailable: /);
  });

  test('what it asks for is filled in, so that it cannot break out', () => {
    const text = '{{status}} {{reason}} {{error}} {{requestId}} {{other}}';
    expect(bodyOf([{ '503': { html: text } }])).toBe('503 Service Unavailable no-server r&#60;1 {{other}}');
    const json = { '503': { json: '{"id":"{{requestId}}"}' } };
    const { body } = replyContent('no-server', '', 'accept: application/json', 'a"\\b', [json]);
    expect(JSON.parse(body)).toEqual({ id: 'a"\\b' });
  });
});

test('each status of a reply has a reason', () => {
  const statuses = Object.values(FAILURES).map(({ status }) => status);
  expect(statuses.filter((status) => status !== 0 && reasonOf(status) === '')).toEqual([]);
});
