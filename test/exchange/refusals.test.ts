// From what the codec refuses to what is answered.

import { describe, expect, test } from 'vitest';
import { FAILURES } from '../../src/base/failure.ts';
import { bodyRefusal, requestRefusal } from '../../src/exchange/refusals.ts';
import { NO_TRAILERS } from '../../src/exchange/streams.ts';
import { Refusal } from '../../src/http1/message.ts';

/** By RFC 9110 and 9112; the comments of Refusal say the same. */
const STATUSES: Readonly<Record<keyof typeof Refusal, number>> = {
  ...{ badRequestLine: 400, badMethod: 400, badTarget: 400, badVersion: 400, badHeader: 400, badHost: 400 },
  ...{ badContentLength: 400, badTransferEncoding: 400, unknownTransferCoding: 501, conflictingFraming: 400 },
  ...{ headTooLarge: 431, tooManyHeaders: 431, targetTooLong: 414, methodNotAllowed: 501 },
  ...{ expectationFailed: 417, badChunk: 400, chunkTooLarge: 400, badTrailer: 400, badStatusLine: 502 },
  ...{ badConnection: 400, badUpgrade: 400 },
};
/** The kind says all. */
const PLAIN = ['headTooLarge', 'targetTooLong', 'expectationFailed', 'badStatusLine'];

describe('a refusal', () => {
  test.each(Object.entries(STATUSES))('%s is a %i, and says which rule was broken', (name, status) => {
    const { kind, detail } = requestRefusal(Refusal[name as keyof typeof Refusal]);
    expect(FAILURES[kind].status).toBe(status);
    expect(detail !== '').toBe(!PLAIN.includes(name));
  });

  test('each says something else', () => {
    const details = Object.values(Refusal).map((refusal) => requestRefusal(refusal).detail);
    const said = details.filter((detail) => detail !== '');
    expect(new Set(said).size).toBe(said.length);
  });
});

describe('a body', () => {
  const refused = (expectedBytes: number, bytesMax: number, refusal = 0): string | undefined =>
    bodyRefusal(
      {
        ...{ isDone: false, bytes: 0, expectedBytes, refusal },
        ...{ trailers: NO_TRAILERS, needsChunks: false, isFramed: false },
      },
      bytesMax,
    )?.kind;

  test('is refused where it is larger than the limit, if there is one, or breaks a rule', () => {
    expect([refused(10, 10), refused(11, 10), refused(1e12, 0)]).toEqual([
      undefined,
      'body-too-large',
      undefined,
    ]);
    expect(refused(11, 10, Refusal.badChunk)).toBe('bad-request');
  });
});
