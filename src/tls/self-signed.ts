// A certificate for development, made and signed by itself (X.509 v3, RFC 5280): Node reads certificates and makes none.
//
//   Certificate  = SEQUENCE { tbs, algorithm, BIT STRING signature }
//   tbs          = SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, public key, [3] extensions }

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import type { Certificate } from './certificate.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Browsers take no certificate that is good for more than 398 days. */
const LIFE_MS = 365 * DAY_MS;
/** Clocks of clients may be behind. */
const EARLIER_MS = DAY_MS;

/** DER: tag, length, content (X.690 section 8.1). */
function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const digits = Buffer.from(length.toString(16).padStart(length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length]), digits, content]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'));
const TRUE = der(0x01, Buffer.from([0xff]));
/** ecdsa-with-SHA256 */
const ALGORITHM = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = '550403';
const SUBJECT_ALT_NAME = '551d11';
const BASIC_CONSTRAINTS = '551d13';
const EXTENDED_KEY_USAGE = '551d25';
const SERVER_AUTH = oid('2b06010505070301');

/** An own certificate for these names and addresses, good from now on for a year. Takes a millisecond. */
export function selfSigned(names: readonly string[], nowMs: number): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [first = 'localhost'] = names;
  const notAfterMs = nowMs + LIFE_MS;
  const name = sequence(der(0x31, sequence(oid(COMMON_NAME), der(0x0c, Buffer.from(first)))));
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(15)),
    ALGORITHM,
    name,
    sequence(time(nowMs - EARLIER_MS), time(notAfterMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions(names)),
  );
  const signature = sign('sha256', tbs, privateKey);
  const certificate = sequence(tbs, ALGORITHM, der(0x03, Buffer.from([0]), signature));
  return {
    cert: pem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    keyType: 'ec',
    names: names.filter((each) => isIP(each) === 0),
    label: first,
    notAfterMs,
  };
}

function extensions(names: readonly string[]): Buffer {
  const alternatives = names.map((name) =>
    isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, addressBytes(name)),
  );
  return sequence(
    sequence(oid(SUBJECT_ALT_NAME), der(0x04, sequence(...alternatives))),
    sequence(oid(BASIC_CONSTRAINTS), TRUE, der(0x04, sequence(TRUE))),
    sequence(oid(EXTENDED_KEY_USAGE), der(0x04, sequence(SERVER_AUTH))),
  );
}

/** IPv4, or the loopback address of IPv6. */
function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  return Buffer.from(`${'0'.repeat(31)}1`, 'hex');
}

/** GeneralizedTime, to the second. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  // RFC 5280 section 4.1.2.5: until 2049 as UTCTime, with two digits for the year
  return der(0x17, Buffer.from(digits.slice(2)));
}

function pem(type: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN ${type}-----\n${lines}\n-----END ${type}-----\n`;
}
