// From the codec's refusals to the proxy's failures: which reply, and a sentence that says what was wrong.

import type { FailureKind } from '../base/failure.ts';
import { Refusal } from '../http1/message.ts';
import type { RequestBody } from './streams.ts';

interface RefusalFacts {
  readonly kind: FailureKind;
  readonly detail: string;
}

const FACTS = {
  [Refusal.badRequestLine]: { kind: 'bad-request', detail: 'malformed request line' },
  [Refusal.badMethod]: { kind: 'bad-request', detail: 'malformed method' },
  [Refusal.badTarget]: { kind: 'bad-request', detail: 'malformed request target' },
  [Refusal.badVersion]: { kind: 'bad-request', detail: 'only HTTP/1.0 and HTTP/1.1 are spoken here' },
  [Refusal.badHeader]: { kind: 'bad-request', detail: 'malformed header line' },
  [Refusal.badHost]: { kind: 'bad-request', detail: 'exactly one valid Host is needed' },
  [Refusal.badContentLength]: { kind: 'bad-request', detail: 'malformed or repeated Content-Length' },
  [Refusal.badTransferEncoding]: { kind: 'bad-request', detail: 'malformed or repeated Transfer-Encoding' },
  [Refusal.unknownTransferCoding]: {
    kind: 'not-implemented',
    detail: 'only the chunked transfer coding is supported',
  },
  [Refusal.conflictingFraming]: {
    kind: 'bad-request',
    detail: 'Content-Length together with Transfer-Encoding',
  },
  [Refusal.headTooLarge]: { kind: 'head-too-large', detail: '' },
  [Refusal.tooManyHeaders]: { kind: 'head-too-large', detail: 'too many header lines' },
  [Refusal.targetTooLong]: { kind: 'target-too-long', detail: '' },
  [Refusal.methodNotAllowed]: { kind: 'not-implemented', detail: 'CONNECT and TRACE are not supported' },
  [Refusal.expectationFailed]: { kind: 'expectation-failed', detail: '' },
  [Refusal.badChunk]: { kind: 'bad-request', detail: 'malformed chunked body' },
  [Refusal.chunkTooLarge]: { kind: 'bad-request', detail: 'chunk size out of range' },
  [Refusal.badTrailer]: { kind: 'bad-request', detail: 'malformed or forbidden trailer field' },
  [Refusal.badStatusLine]: { kind: 'bad-response', detail: '' },
  [Refusal.badConnection]: { kind: 'bad-request', detail: 'malformed Connection field' },
  [Refusal.badUpgrade]: { kind: 'bad-request', detail: 'malformed Upgrade field' },
} as const satisfies Record<Refusal, RefusalFacts>;

/** What a request that the codec refused is answered with. */
export function requestRefusal(refusal: number): RefusalFacts {
  return FACTS[refusal as Refusal];
}

/** A TLS record of a handshake: what a client sends first that takes this place for one of https. */
const TLS_RECORD = [0x16, 0x03] as const;

/** What is said then; null: it is not. `buffer`: the first bytes of a connection. */
export function tlsInTheClear(buffer: Buffer): string | null {
  const isTls = buffer[0] === TLS_RECORD[0] && buffer[1] === TLS_RECORD[1];
  return isTls ? 'this looks like TLS, but this listener speaks plain HTTP: use http:// here' : null;
}

const TOO_LARGE: RefusalFacts = { kind: 'body-too-large', detail: '' };

/** Why the body that comes is not taken; null when it is. `bytesMax` 0: no limit. */
export function bodyRefusal({ refusal, expectedBytes }: RequestBody, bytesMax: number): RefusalFacts | null {
  if (refusal !== 0) return requestRefusal(refusal);
  return bytesMax > 0 && expectedBytes > bytesMax ? TOO_LARGE : null;
}
