// The blocks of a PEM file (RFC 7468), and what a file is that has none.

export interface PemBlock {
  /** `CERTIFICATE`, `EC PRIVATE KEY` and so on. */
  readonly type: string;
  /** With its first and last line. */
  readonly text: string;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;
/** An ASN.1 sequence with a length of two bytes or more begins so, as all certificates and keys in DER do. */
const DER_SEQUENCE = 0x30;

export function pemBlocks(bytes: Buffer): readonly PemBlock[] {
  return [...bytes.toString('latin1').matchAll(BLOCK)].map(([text, type = '']) => ({
    type,
    text: `${text}\n`,
  }));
}

/** Why there is no block of the wanted kind in the file, and what to do about it. */
export function withoutBlock(bytes: Buffer, wanted: string, blocks: readonly PemBlock[]): string {
  if (bytes.length === 0) return `is empty, expected ${wanted} in PEM form`;
  if (bytes[0] === DER_SEQUENCE && ((bytes[1] ?? 0) & 0x80) !== 0) {
    return `is DER, expected ${wanted} in PEM form; convert it with "openssl x509 -inform der" or "openssl pkey -inform der"`;
  }
  const [first] = blocks;
  if (first !== undefined)
    return `holds a ${first.type}, expected ${wanted} ("-----BEGIN ${wanted.replace(/^an? /, '').toUpperCase()}-----")`;
  return `is not PEM, expected ${wanted} ("-----BEGIN …-----")`;
}
