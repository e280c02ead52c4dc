// Whose session a ticket is for, seen before OpenSSL resumes it: that does not look again whether the client's certificate is
// still good, and once it has, a session can only be cut, not begun anew.
//
//   ticket    name 16 | iv 16 | session, AES-128-CBC | HMAC 32        as Node seals them; ticketKeys: name | HMAC key | AES key
//   session   SEQUENCE { version, version of TLS, cipher, id, master key, [1] time, [2] time-out, [3] certificate, ... }

import { createDecipheriv, X509Certificate } from 'node:crypto';
import { derItems } from './der.ts';

const PART_BYTES = 16;
const SEAL_BYTES = 32;
const KEY_BEGIN = 2 * PART_BYTES;
const CERTIFICATE_TAG = 0xa3;

/**
 * Wall time of the end of the client's certificate; null: it had none, or the ticket is none of these keys', or not whole, which
 * is OpenSSL's to say: it looks at the seal, here nothing is believed but that a certificate has ended. Never throws.
 */
export function certificateEndMs(ticket: Buffer, ticketKeys: Uint8Array): number | null {
  if (!ticket.subarray(0, PART_BYTES).equals(ticketKeys.subarray(0, PART_BYTES))) return null;
  try {
    const iv = ticket.subarray(PART_BYTES, KEY_BEGIN);
    const opened = createDecipheriv('aes-128-cbc', ticketKeys.subarray(KEY_BEGIN), iv);
    const sealed = ticket.subarray(KEY_BEGIN, -SEAL_BYTES);
    const session = derItems(Buffer.concat([opened.update(sealed), opened.final()]))?.[0];
    const fields = session === undefined ? null : derItems(session.content);
    const certificate = fields?.find(({ tag }) => tag === CERTIFICATE_TAG);
    return certificate === undefined ? null : Date.parse(new X509Certificate(certificate.content).validTo);
  } catch {
    return null;
  }
}
