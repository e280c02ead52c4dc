// Short form of the HTTP/1 fuzz. `FUZZ=1000000` widens it, `SEED=` replays a run.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isCutFromRequest } from '../../src/http1/hop-by-hop.ts';
import { Field, Refusal, RequestHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import { LIMITS, nameOf } from '../http1/render.ts';
import { seeds } from '../support/seeds.ts';
import { mutate, randomOf } from './differential.ts';
import { corpus, runDifferential } from './http1-differential.ts';
import { runResponseDifferential } from './http1-response-differential.ts';

const [SEED = 1] = seeds(1);
const INPUTS = Number(process.env['FUZZ'] ?? 20_000);

it('accepts nothing that node refuses, and reads the same where both accept', {
  timeout: 3_600_000,
}, async () => {
  const begin = performance.now();
  const report = await runDifferential(SEED, INPUTS);
  const rate = report.inputs / ((performance.now() - begin) / 1000);
  console.log(`seed ${SEED}, ${rate.toFixed(0)} inputs/s`, { ...report, failures: report.failures.length });
  expect(report.failures).toEqual([]);
  expect(report.bothAccept).toBeGreaterThan(INPUTS / 20);
});

it('reads no response that node does not read the same', { timeout: 3_600_000 }, async () => {
  const report = await runResponseDifferential(SEED, INPUTS / 4);
  console.log(`responses, seed ${SEED}`, { ...report, failures: report.failures.length });
  expect(report.failures).toEqual([]);
  expect(report.bothAccept).toBeGreaterThan(INPUTS / 80);
});

it('a cut head is incomplete or refused for the same reason', { timeout: 3_600_000 }, () => {
  const random = randomOf(SEED);
  const heads = corpus();
  const head = new RequestHead();
  for (let count = 0; count < INPUTS; count += 1) {
    const bytes = mutate(heads, random);
    const whole = parseRequestHead(bytes, 0, bytes.length, LIMITS, head);
    const cut = Math.floor(random() * bytes.length);
    const part = parseRequestHead(Buffer.from(bytes.subarray(0, cut)), 0, cut, LIMITS, head);
    const expected = whole > 0 && cut >= whole ? [whole] : [0, ...(whole < 0 ? [whole] : [])];
    expect(expected, JSON.stringify(bytes.toString('latin1'))).toContain(part);
  }
});

const name = fc.oneof(
  fc.constantFrom(
    'Cookie',
    'X-A',
    'x-b',
    'Via',
    'Accept',
    'X-Holdfast-Server',
    'TE',
    'Keep-Alive',
    'Expect-CT',
  ),
  fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^`|~-]{1,40}$/),
);
const value = fc.oneof(fc.constant(''), fc.stringMatching(/^[ -~\t\u0080-\u00ff]{0,40}$/));
const connection = fc.option(
  fc.constantFrom('close', 'keep-alive, X-A', 'x-b, Cookie', 'TE,,x-a', 'upgrade'),
);
const line = fc.tuple(name, value).map(([key, text]) => `${key}: ${text}\r\n`);

function forwarded(bytes: Buffer, head: RequestHead): string {
  let text = `${head.method} ${bytes.toString('latin1', head.pathBegin, head.pathEnd)} HTTP/1.1\r\n`;
  let position = head.fieldsBegin;
  for (let index = 0; index < head.lines.count; index += 1) {
    if (!isCutFromRequest(head.lines.field[index]!)) continue;
    text += bytes.toString('latin1', position, head.lines.lineBegin[index]);
    position = head.lines.lineEnd[index]!;
  }
  return `${text}${bytes.toString('latin1', position, head.fieldsEnd)}\r\n`;
}

function fieldsOf(head: RequestHead): string[] {
  return Array.from(head.lines.field.subarray(0, head.lines.count), (field) => nameOf(Field, field));
}

it('what is forwarded parses again to the same request, without the fields that end here', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), connection, fc.boolean(), (lines, options, isChunked) => {
      const framing = isChunked ? 'Transfer-Encoding: chunked\r\n' : 'Content-Length: 7\r\n';
      const named = options === null ? '' : `Connection: ${options}\r\n`;
      const bytes = Buffer.from(
        `POST /p?q HTTP/1.1\r\nHost: a\r\n${named}${lines.join('')}${framing}\r\n`,
        'latin1',
      );
      const head = new RequestHead();
      const result = parseRequestHead(bytes, 0, bytes.length, LIMITS, head);
      // Random names may hit fields with rules of their own; those refusals are tested elsewhere.
      if (result < 0) {
        expect(nameOf(Refusal, result)).not.toContain('unknown');
        return;
      }
      expect(result).toBe(bytes.length);
      const again = Buffer.from(forwarded(bytes, head), 'latin1');
      const second = new RequestHead();
      expect(parseRequestHead(again, 0, again.length, LIMITS, second)).toBe(again.length);
      expect(second.keepAlive).toBe(true);
      expect([second.method, second.body, second.contentLength]).toEqual([
        head.method,
        head.body,
        head.contentLength,
      ]);
      const kept = fieldsOf(head).filter((field) => !isCutFromRequest(Field[field as keyof typeof Field]));
      expect(fieldsOf(second)).toEqual(kept);
      expect(forwarded(again, second)).toBe(again.toString('latin1'));
    }),
    { seed: SEED, numRuns: Math.max(1000, INPUTS / 100) },
  );
});
