// The blocks of a PEM file (RFC 7468), and what a file is that has none.

export interface PemBlock {
  /** `CERTIFICATE`, `EC PRIVATE KEY` and so on. */
  readonly type: string;
  /** With its first and last line. */
  readonly text: string;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;
/** An ASN.1 sequence begins so, as all certificates and keys in DER do. */
const DER_SEQUENCE = 0x30;
/** In PKCS #12 the version of it is the first thing inside: the number 3. */
const PKCS12_VERSION = Buffer.from([2, 1, 3]);

export function pemBlocks(bytes: Buffer): readonly PemBlock[] {
  return [...bytes.toString('latin1').matchAll(BLOCK)].map(([text, type = '']) => ({
    type,
    text: `${text}\n`,
  }));
}

/** Why there is no block of the wanted kind in the file, and what to do about it. */
export function withoutBlock(bytes: Buffer, wanted: string, blocks: readonly PemBlock[]): string {
  if (bytes.length === 0) return `is empty, expected ${wanted} in PEM form`;
  if (isDer(bytes)) {
    if (bytes.subarray(0, 9).includes(PKCS12_VERSION))
      return `is PKCS #12, expected ${wanted} in PEM form; take it out with "openssl pkcs12 -nodes"`;
    return `is DER, expected ${wanted} in PEM form; convert it with "openssl x509 -inform der" or "openssl pkey -inform der"`;
  }
  const [first] = blocks;
  if (first !== undefined)
    return `holds "${first.type}", expected ${wanted} ("-----BEGIN ${wanted.replace(/^an? /, '').toUpperCase()}-----")`;
  return `is not PEM, expected ${wanted} ("-----BEGIN …-----")`;
}

/** Its length stands in the second byte, or in those that follow it. */
function isDer(bytes: Buffer): boolean {
  const length = bytes[1] ?? 0;
  return bytes[0] === DER_SEQUENCE && (length >= 0x80 || length === bytes.length - 2);
}
