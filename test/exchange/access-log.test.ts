// One line of the access log for each exchange: all of it, by a clock that is moved by hand.

import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { AccessLog, AccessRecord, type Way } from '../../src/exchange/access-log.ts';
import type { TlsFacts } from '../../src/exchange/tls-facts.ts';
import { RequestHead } from '../../src/http1/message.ts';
import { requestOf } from '../choose/messages.ts';
import { ExchangeScene } from '../support/exchange-scene.ts';

type Line = Readonly<Record<string, unknown>>;

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n';
const TLS: TlsFacts = {
  version: 'TLSv1.3',
  cipher: 'AES',
  serverName: 'shop',
  isResumed: false,
  client: null,
};
const TRACE = 'ab'.repeat(16);
const TRACEPARENT = `00-${TRACE}-${'cd'.repeat(8)}-01`;

function linesOf(world: ExchangeScene): Line[] {
  world.accessLog.flush();
  return world.logged
    .join('')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);
}

/** The line of a request that did not become an exchange. */
function lineOf(lines: readonly string[], way?: Way, target = '/', headText = ''): Line {
  const { buffer, head } = requestOf(lines, target);
  const record = new AccessRecord(buffer, head, '203.0.113.9', headText, 0, way);
  return JSON.parse(record.format(null, 1, 0, 0)) as Line;
}

describe('of an exchange', () => {
  test('a line says who asked for what, who answered, how long each part took and how it ended', () => {
    const world = new ExchangeScene(1, {
      more: 'sticky: { mode: cookie-hash }\nretry: { attempts: 1, budget: 100% }',
      servers: ['a=http://127.0.0.1:1 maxConnections:1', 'b=http://127.0.0.1:2 maxConnections:1'],
    });
    const others = [world.begin(world.client(), 'GET / HTTP/1.1\r\nhost: a\r\n\r\n')];
    others.push(world.begin(world.client(), 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
    world.manual.advance(1000);
    world.clock.turn();
    const client = world.client();
    const text = `POST /buy?a="b" HTTP/1.1\r\nhost: shop\r\ncontent-length: 6\r\ntraceparent: ${TRACEPARENT}\r\n\r\n`;
    world.begin(client, text, 'abcdef');
    const wait = (ms: number): void => {
      world.manual.advance(ms);
      world.clock.turn();
    };
    wait(10);
    for (const other of others) other.abort();
    const first = world.last;
    wait(2.0004);
    first.destroy();
    first.user.onUnreachable('connect-timeout');
    wait(3);
    world.last.user.onConnected(world.last);
    wait(5.5);
    world.sendHead(world.last, OK, 'he', false);
    wait(1);
    world.sendBody(world.last, 'llo');
    world.last.user.onResponseEnd([]);
    const nameOf = (slot: number): string | undefined =>
      world.plan.config.servers[world.plan.slots.indexOf(slot)]?.name;
    const [, , line] = linesOf(world);
    expect(line).toEqual({
      time: '2023-11-14T22:13:21.000Z',
      requestId: expect.stringMatching(/^[0-9a-f]{16}-\d+$/),
      traceId: TRACE,
      client: '192.0.2.1',
      method: 'POST',
      target: '/buy?a="b"',
      host: 'shop',
      status: 200,
      pool: 'shop',
      server: nameOf(world.last.slot),
      attempts: [
        { server: nameOf(first.slot), outcome: 'connect-timeout' },
        { server: nameOf(world.last.slot), outcome: 'answered' },
      ],
      affinity: 'new',
      ms: { queue: 10, connect: 3, firstByte: 5.5, total: 21.5 },
      bytesIn: text.length + 6,
      bytesOut: 5,
      endedBy: 'server',
      error: null,
      sampled: 1,
    });
    expect(line?.['requestId']).toBe(/x-request-id: (.*)\r/.exec(world.last.received.text)?.[1]);
  });

  test('one that waited in vain has waited all the time, and nobody has answered', () => {
    const world = new ExchangeScene(1, {
      more: 'queue: { size: 1, timeout: 1s }',
      servers: ['a=http://127.0.0.1:1 maxConnections:1'],
    });
    const held = world.begin(world.client(), 'GET /held HTTP/1.1\r\nhost: shop\r\n\r\n');
    world.begin(world.client(), 'GET /waits HTTP/1.1\r\nhost: shop\r\n\r\n');
    world.pass(1000);
    held.abort();
    expect(linesOf(world)).toMatchObject([
      { target: '/waits', status: 503, server: null, error: 'queue-timeout', endedBy: 'self', bytesOut: 200 },
      { target: '/held', status: 0, server: 'a', error: 'client-aborted', endedBy: 'client', bytesOut: 0 },
    ]);
    expect(linesOf(world).map((line) => line['ms'])).toEqual([
      { queue: 1000, connect: 0, firstByte: null, total: 1000 },
      { queue: 0, connect: 0, firstByte: null, total: 1000 },
    ]);
    expect(linesOf(world).map((line) => 'attempts' in line || 'detail' in line)).toEqual([false, false]);
  });

  test('the exact reason of an error stands beside its kind', () => {
    const world = new ExchangeScene(1, { servers: ['a=http://127.0.0.1:1'] });
    world.begin(world.client(), 'POST / HTTP/1.1\r\nhost: a\r\n\r\n');
    world.last.user.onConnected(world.last);
    world.last.destroy();
    world.last.user.onBadResponse('malformed status line');
    expect(linesOf(world)).toMatchObject([{ error: 'bad-response', detail: 'malformed status line' }]);
    expect(world.warnings).toEqual(['bad response from server shop/a: malformed status line']);
  });
});

describe('the way a request came', () => {
  test.each([
    ['in the clear', undefined, {}],
    [
      'TLS',
      { tls: TLS, streamId: 0 },
      { tls: { ...TLS, isResumed: undefined, client: undefined, resumed: false } },
    ],
    ['HTTP/2', { tls: null, streamId: 3 }, { protocol: 'h2', stream: 3 }],
  ])('%s', (_, way, told) => {
    const { tls, protocol, stream } = lineOf([], way);
    expect(JSON.parse(JSON.stringify({ tls, protocol, stream }))).toEqual(JSON.parse(JSON.stringify(told)));
  });

  test('with a certificate: whose, and what came of looking at it', () => {
    const client = { verify: 'good', subject: 'CN=x', fingerprint: 'ab' };
    expect(lineOf([], { tls: { ...TLS, client }, streamId: 0 })['tls']).toMatchObject({ client });
  });
});

describe('a field', () => {
  test.each([
    ['of the trace that came', [`traceparent: ${TRACEPARENT}`], '', TRACE],
    ['of the trace that we began', [], `GET / HTTP/1.1\r\ntraceparent: ${TRACEPARENT}\r\n\r\n`, TRACE],
    ['of no trace', [], '', undefined],
    ['of what is no trace', [`traceparent: x${TRACEPARENT}`], '', undefined],
    ['of a trace in capitals', [`traceparent: ${TRACEPARENT.toUpperCase()}`], '', undefined],
    ['of a trace that is cut', [`traceparent: ${TRACEPARENT.slice(0, -1)}`], '', undefined],
  ])('%s', (_, lines, headText, traceId) => {
    expect(lineOf(lines, undefined, '/', headText)['traceId']).toBe(traceId);
  });

  test('that a client makes long is cut', () => {
    const { target, host } = lineOf([], undefined, `/${'x'.repeat(3000)}`);
    expect([(target as string).length, host]).toEqual([2048, 'shop.example']);
    const { buffer, head } = requestOf([], '/', `${'h'.repeat(253)}:65535`);
    const line = JSON.parse(new AccessRecord(buffer, head, '', '', 0).format(null, 1, 0, 0)) as Line;
    expect(line['host']).toBe(`${'h'.repeat(253)}:65`);
  });

  test('of a request that could not be read is empty', () => {
    const record = new AccessRecord(Buffer.alloc(0), new RequestHead(), '203.0.113.9', '', 0);
    record.turnedAway('bad-request', 'r-1');
    expect(JSON.parse(record.format(null, 0.5, 2, 2))).toMatchObject({
      ...{ time: '1970-01-01T00:00:00.000Z', requestId: 'r-1', client: '203.0.113.9', target: '', host: '' },
      ...{ status: 400, pool: null, server: null, affinity: 'none', error: 'bad-request', sampled: 0.5 },
    });
  });
});

describe('lines are handed over', () => {
  const record = (): AccessRecord =>
    new AccessRecord(Buffer.alloc(0), new RequestHead(), 'x'.repeat(1000), '', 0);

  test('whole, when much has gathered or somebody asks for them', () => {
    const handed: string[] = [];
    const log = new AccessLog(new SeededRandom(1), (lines) => handed.push(lines));
    const clock = new ManualClock();
    log.write(null, 1, null, clock);
    log.flush();
    expect(handed).toEqual([]);
    log.write(record(), 1, null, clock);
    log.write(record(), 1, null, clock);
    expect(handed).toEqual([]);
    log.flush();
    log.flush();
    expect(handed.map((lines) => lines.match(/\{"time".*\n/g)?.length)).toEqual([2]);
    const { length } = handed[0] ?? '';
    for (let gathered = 0; gathered < 64 * 1024; gathered += length / 2) log.write(record(), 1, null, clock);
    expect(handed.map((lines) => lines.length >= 64 * 1024)).toEqual([false, true]);
  });

  test('of the share that is asked for', () => {
    const log = new AccessLog(new SeededRandom(1), () => undefined);
    const drawn = (sample: number | null): number => {
      log.configure(sample === null ? null : { format: 'json', file: null, sample });
      return Array.from({ length: 1000 }, () => log.draws()).filter(Boolean).length;
    };
    expect([drawn(null), drawn(0), drawn(1)]).toEqual([0, 0, 1000]);
    expect(Math.abs(drawn(0.25) - 250)).toBeLessThan(60);
  });
});
