// A certificate for development, made and signed by itself (X.509 v3, RFC 5280): Node reads certificates and makes none.
//
//   Certificate  = SEQUENCE { tbs, algorithm, BIT STRING signature }
//   tbs          = SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, public key, [3] extensions }

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP, isIPv4 } from 'node:net';
import type { Certificate } from './certificate.ts';
import { bitString, der, octets, oid, pem, sequence } from './der.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Browsers take no certificate that is good for more than 398 days. */
const LIFE_MS = 365 * DAY_MS;
/** Clocks of clients may be behind. */
const EARLIER_MS = DAY_MS;

const TRUE = der(0x01, Buffer.from([0xff]));
/** ecdsa-with-SHA256 */
const ALGORITHM = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = '550403';
const SUBJECT_ALT_NAME = '551d11';
const BASIC_CONSTRAINTS = '551d13';
const EXTENDED_KEY_USAGE = '551d25';
/** id-pe-acmeIdentifier */
const ACME_IDENTIFIER = '2b0601050507011f';
/** extensionRequest of PKCS #9 */
const EXTENSION_REQUEST = '2a864886f70d01090e';
const SERVER_AUTH = oid('2b06010505070301');

/** Takes the place of one that an authority is to give: so short that who watches the ends of certificates sees it. */
const PLACEHOLDER_LIFE_MS = 6 * DAY_MS;

/** An own certificate for these names and addresses, good from now on for a year. Takes a millisecond. */
export function selfSigned(names: readonly string[], nowMs: number): Certificate {
  return made(names, nowMs, LIFE_MS);
}

/** What a name has until an authority has given it a certificate. */
export function placeholder(name: string, nowMs: number): Certificate {
  return made([name], nowMs, PLACEHOLDER_LIFE_MS);
}

/** What answers an authority that asks for `digest` in a handshake (RFC 8737 section 3). */
export function challengeCertificate(name: string, digest: Uint8Array, nowMs: number): Certificate {
  const identifier = sequence(oid(ACME_IDENTIFIER), TRUE, octets(octets(digest)));
  return made([name], nowMs, PLACEHOLDER_LIFE_MS, identifier);
}

function made(
  names: readonly string[],
  nowMs: number,
  lifeMs: number,
  ...more: readonly Uint8Array[]
): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [first = 'localhost'] = names;
  const notAfterMs = nowMs + lifeMs;
  const name = sequence(der(0x31, sequence(oid(COMMON_NAME), der(0x0c, Buffer.from(first)))));
  const tbs = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1]), randomBytes(15)),
    ALGORITHM,
    name,
    sequence(time(nowMs - EARLIER_MS), time(notAfterMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions(names, more)),
  );
  const signature = sign('sha256', tbs, privateKey);
  const certificate = sequence(tbs, ALGORITHM, bitString(signature));
  return {
    cert: pem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    keyType: 'ec',
    names: names.filter((each) => isIP(each) === 0),
    label: first,
    notAfterMs,
  };
}

/** What an authority makes a certificate of (PKCS #10, RFC 2986), in DER: for these names, with this key. */
export function certificateRequest(names: readonly string[], privateKey: KeyObject): Buffer {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const wanted = sequence(oid(EXTENSION_REQUEST), der(0x31, sequence(alternativeNames(names))));
  const info = sequence(der(0x02, Buffer.from([0])), sequence(), publicKey, der(0xa0, wanted));
  return sequence(info, ALGORITHM, bitString(sign('sha256', info, privateKey)));
}

function extensions(names: readonly string[], more: readonly Uint8Array[]): Buffer {
  return sequence(
    alternativeNames(names),
    sequence(oid(BASIC_CONSTRAINTS), TRUE, octets(sequence())),
    sequence(oid(EXTENDED_KEY_USAGE), octets(sequence(SERVER_AUTH))),
    ...more,
  );
}

/** The extension with the names that clients look for. */
function alternativeNames(names: readonly string[]): Buffer {
  const alternatives = names.map((name) =>
    isIP(name) === 0 ? der(0x82, Buffer.from(name)) : der(0x87, addressBytes(name)),
  );
  return sequence(oid(SUBJECT_ALT_NAME), octets(sequence(...alternatives)));
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
