// When a certificate is to be renewed, and when something that failed is tried again. Pure.
//
//   not before ──────────────── 2/3 ─·─────────── not after       without renewal information
//   not before ── [ suggested window ] ─────────── not after      with it (RFC 9773)
//                        ·                                        the moment: different for each certificate, always the same
//
// Clocks are set: a certificate that has just come is not renewed at once because a clock says that it has ended.

import { createHash, X509Certificate } from 'node:crypto';
import type { Random } from '../base/random.ts';
import { derItems } from '../tls/der.ts';
import type { Answer } from './answers.ts';
import type { OrderFault } from './problem.ts';
import type { StoredCertificate } from './storage.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Of its life: where without renewal information it is renewed, and over how much of it renewals are spread. */
const RENEWED_AT = 2 / 3;
const SPREAD = 1 / 24;
/** Of its life: whatever the authority wishes, it is renewed then. */
const LATEST_AT = 19 / 20;
/** A part of its life, and with renewal information not longer than a day, in which it is not renewed. */
const NEW_FOR = 1 / 3;
/** Renewal information is asked for again after the time that the authority wishes, within these; 6 h where it wishes nothing. */
const ASK_AGAIN_MS = { least: MINUTE_MS, usual: 6 * HOUR_MS, most: DAY_MS };
const AUTHORITY_KEY_IDENTIFIER = Buffer.from('551d23', 'hex');
const BACKOFF: Readonly<Record<OrderFault, Backoff>> = {
  // authorities allow five refusals an hour: the sixth comes after two
  refused: { firstMs: MINUTE_MS, factor: 3, mostMs: 6 * HOUR_MS },
  unreachable: { firstMs: 5_000, factor: 2, mostMs: HOUR_MS },
  failed: { firstMs: 5_000, factor: 2, mostMs: 10 * MINUTE_MS },
};
const JITTER = 0.2;

interface Backoff {
  readonly firstMs: number;
  readonly factor: number;
  readonly mostMs: number;
}

/** Wall times. */
export interface RenewalWindow {
  readonly startMs: number;
  readonly endMs: number;
}

/** Renewal information as it came; null where it makes no sense. */
export function windowOf(answer: Answer): RenewalWindow | null {
  const suggested = answer.at('suggestedWindow');
  const startMs = Date.parse(suggested.text('start'));
  const endMs = Date.parse(suggested.text('end'));
  return endMs > startMs ? { startMs, endMs } : null;
}

/** Wall time when it is to be renewed, as things look now. `window` null: there is no renewal information. */
export function renewalMs(
  certificate: StoredCertificate,
  window: RenewalWindow | null,
  wallMs: number,
): number {
  const { cert, notBeforeMs, notAfterMs, obtainedMs } = certificate;
  const lifeMs = notAfterMs - notBeforeMs;
  // the same on all machines that have the certificate, and after each restart
  const fraction = createHash('sha256').update(cert).digest().readUInt32BE(0) / 0x1_0000_0000;
  const wantedMs =
    window === null
      ? notBeforeMs + lifeMs * (RENEWED_AT + SPREAD * fraction)
      : Math.min(
          window.startMs + (window.endMs - window.startMs) * fraction,
          notBeforeMs + lifeMs * LATEST_AT,
        );
  // had under a clock that was ahead: for how long it is new yet is not known
  if (obtainedMs > wallMs + DAY_MS) return wantedMs;
  return Math.max(wantedMs, obtainedMs + newForMs(certificate, window !== null));
}

/** For how long after it has come it is not renewed, whatever clocks say. `isTold`: the authority may say when it is to be. */
export function newForMs(
  { notBeforeMs, notAfterMs }: Pick<StoredCertificate, 'notBeforeMs' | 'notAfterMs'>,
  isTold: boolean,
): number {
  const lifeMs = notAfterMs - notBeforeMs;
  return (isTold ? Math.min(lifeMs, 3 * DAY_MS) : lifeMs) * NEW_FOR;
}

/** For how long renewal information is believed. */
export function askAgainMs(retryAfterMs: number | null): number {
  const { least, usual, most } = ASK_AGAIN_MS;
  return Math.min(most, Math.max(least, retryAfterMs ?? usual));
}

/** Until the next try after so many in a row have failed; longer where the authority wishes it. */
export function backoffMs(
  fault: OrderFault,
  failures: number,
  retryAfterMs: number | null,
  random: Random,
): number {
  const { firstMs, factor, mostMs } = BACKOFF[fault];
  const waitMs = Math.min(mostMs, firstMs * factor ** Math.max(0, failures - 1));
  return Math.max(retryAfterMs ?? 0, waitMs * (1 - JITTER + 2 * JITTER * random.next()));
}

/** What names a certificate in renewal information (RFC 9773 section 4.1); null where its authority has no identifier. */
export function certificateId(pem: string): string | null {
  // Certificate { tbs { [0] version, serial, algorithm, issuer, validity, subject, public key, ..., [3] extensions } }
  const whole = derItems(new X509Certificate(pem).raw)?.[0];
  const tbs = whole === undefined ? undefined : derItems(whole.content)?.[0];
  const fields = tbs === undefined ? null : derItems(tbs.content);
  const serial = fields?.[1];
  const extensions = fields?.find(({ tag }) => tag === 0xa3);
  const key = extensions === undefined ? null : keyIdentifier(extensions.content);
  if (serial === undefined || key === null) return null;
  return `${key.toString('base64url')}.${serial.content.toString('base64url')}`;
}

/** Of the authority's key, in the extension for it (RFC 5280 section 4.2.1.1). */
function keyIdentifier(extensions: Buffer): Buffer | null {
  const list = derItems(extensions)?.[0];
  for (const { content } of (list && derItems(list.content)) ?? []) {
    const parts = derItems(content);
    if (parts?.[0]?.content.equals(AUTHORITY_KEY_IDENTIFIER) !== true) continue;
    const inner = parts.at(-1)?.content;
    const identifier = inner && derItems(inner)?.[0];
    const key = identifier && derItems(identifier.content)?.find(({ tag }) => tag === 0x80);
    return key?.content ?? null;
  }
  return null;
}
