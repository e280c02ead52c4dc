// DER, as far as certificates need it (X.690): tag, length, content; written and read.
//
//   30 0c  02 01 05  04 07 ........        tag 30 (sequence), 12 bytes: an integer, an octet string
//   30 82 01 0a ...                        a length of two bytes

const LONG_FORM = 0x80;
const CONSTRUCTED_SEQUENCE = 0x30;
/** Longer lengths than this many bytes are in no certificate. */
const LENGTH_BYTES_MAX = 3;

export interface DerItem {
  readonly tag: number;
  readonly content: Buffer;
}

export function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < LONG_FORM) return Buffer.concat([Buffer.from([tag, length]), content]);
  const hex = length.toString(16);
  const digits = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, LONG_FORM | digits.length]), digits, content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => der(CONSTRUCTED_SEQUENCE, ...parts);
/** `hex`: the encoded arcs. */
export const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
export const octets = (...parts: readonly Uint8Array[]): Buffer => der(0x04, ...parts);
export const bitString = (bytes: Uint8Array): Buffer => der(0x03, Buffer.from([0]), bytes);

/** The items in some content, in order. Null: it is not DER. */
export function derItems(content: Buffer): readonly DerItem[] | null {
  const items: DerItem[] = [];
  for (let at = 0; at < content.length; ) {
    const tag = content[at] ?? 0;
    let length = content[at + 1] ?? LONG_FORM;
    at += 2;
    if (length >= LONG_FORM) {
      const digits = length - LONG_FORM;
      if (digits === 0 || digits > LENGTH_BYTES_MAX || at + digits > content.length) return null;
      length = content.readUIntBE(at, digits);
      at += digits;
    }
    if (at + length > content.length) return null;
    items.push({ tag, content: content.subarray(at, at + length) });
    at += length;
  }
  return items;
}

/** Text form (RFC 7468). */
export function pem(type: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${type}-----\n${lines}\n-----END ${type}-----\n`;
}
