// What is said of responses that are no valid HTTP, and of clients that do wrong: exactly, and not too often.

import { describe, expect, test } from 'vitest';
import type { PoolPlan } from '../../src/choose/plan.ts';
import { BadResponses, badResponseDetail } from '../../src/exchange/bad-responses.ts';
import { QuietLog } from '../../src/exchange/quiet-log.ts';
import { Refusal } from '../../src/http1/message.ts';
import { World } from '../choose/fixture.ts';

const detailOf = (refusal: number, text: string, before = ''): string =>
  badResponseDetail(refusal, Buffer.from(before + text, 'latin1'), before.length, 1024);

describe('the rule that was broken', () => {
  test.each([
    [Refusal.headTooLarge, '', 'its head is larger than 1024 bytes (limits.responseHeadBytes)'],
    [Refusal.badChunk, '', 'malformed chunked body'],
    [Refusal.conflictingFraming, '', 'Content-Length together with Transfer-Encoding'],
    [Refusal.badStatusLine, 'HTP/1.1 200\r\n\r\n', 'malformed status line "HTP/1.1 200"'],
    [Refusal.badStatusLine, '220 mail', 'malformed status line "220 mail"'],
    [Refusal.badStatusLine, `${'x'.repeat(70)}\r\n`, `malformed status line "${'x'.repeat(60)}"`],
  ])('%i of %j', (refusal, text, detail) => {
    expect(detailOf(refusal, text)).toBe(detail);
    expect(detailOf(refusal, text, 'HTTP/1.1 100 Continue\r\n\r\n')).toBe(detail);
  });

  test.each([
    ['X-Secret: a\0b', '"X-Secret"'],
    ['X Bad: 1', '"X Bad: 1"'],
    ['X-A : 1', '"X-A : 1"'],
    [': 1', '": 1"'],
    ['no colon', '"no colon"'],
    ['X-A: a\rb', '"X-A"'],
    ['X-A: bare LF\nX-B: 1', '"X-A"'],
    ['Content_Length: 5', '"Content_Length"'],
    ['transfer_encoding: chunked', '"transfer_encoding"'],
  ])('names the first faulty line: %j', (line, shown) => {
    const text = `HTTP/1.1 200 OK\r\nX-Good: 1\r\nContent_Lengths: 1\r\n${line}\r\nX Late: 1\r\n\r\n`;
    expect(detailOf(Refusal.badHeader, text)).toBe(`malformed header line ${shown}`);
  });

  test('names none where all that came is well formed', () => {
    expect(detailOf(Refusal.badHeader, 'HTTP/1.1 200 OK\r\nX-A: 1\r\n')).toBe('malformed header line ');
  });
});

test('a server that does it again and again is told of every ten seconds, with how often it was', () => {
  const [plan] = new World({ servers: [{ name: 'a' }, { name: 'b' }] }).plans as [PoolPlan];
  const told: string[] = [];
  const bad = new BadResponses((level, message) => told.push(`${level} ${message}`));
  const [a = -1, b = -1] = plan.slots;
  const server = `warn bad response from server ${plan.config.name}`;
  for (const atMs of [0, 1, 9999]) bad.note(plan, a, `at ${atMs}`, atMs);
  bad.note(plan, b, 'other', 9999);
  expect(told).toEqual([`${server}/a: at 0`, `${server}/b: other`]);
  bad.note(plan, a, 'again', 10_000);
  bad.note(plan, a, 'again', 20_000);
  bad.note(plan, 99, 'gone', 0);
  expect(told.slice(2)).toEqual([
    `${server}/a: again, and 2 more since the last such line`,
    `${server}/a: again`,
    `${server}/99: gone`,
  ]);
});

test('clients that do wrong are told of every ten seconds', () => {
  const told: string[] = [];
  const quiet = new QuietLog((level, message) => told.push(`${level} ${message}`), 'listener x');
  for (const atMs of [0, 9999, 10_000, 10_001]) quiet.warn(`at ${atMs}`, atMs);
  expect(told).toEqual(['warn listener x: at 0', 'warn listener x: at 10000']);
});
