// A certificate with its key, read and checked: they fit each other, the certificate is good today, and the client can
// follow it to an authority.
//
//   cert:   leaf, intermediate, intermediate ...     each is issued by the next
//   chain:                      the same, where `cert` has the leaf only

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { distinct, isEnd, isWhole, linked } from './chain.ts';
import { type Files, openKey } from './files.ts';
import type { CertificateFiles } from './options.ts';
import { pemBlocks, withoutBlock } from './pem.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** With less time left than this, `check` warns, and so does the alert in grafana/prometheus/rules.yml. */
const EXPIRES_SOON_MS = 14 * DAY_MS;
const ORDINALS = ['1st', '2nd', '3rd'];

/** A checked certificate. Structured-cloneable. */
export interface Certificate {
  /** PEM, leaf first. */
  readonly cert: string;
  /** PEM, not encrypted. */
  readonly key: string;
  /** rsa, ec, ed25519 ...: a client may get the one or the other. */
  readonly keyType: string;
  /** Names it is good for, lower case; `*.` in front is a wildcard. */
  readonly names: readonly string[];
  /** What messages and metrics call it. */
  readonly label: string;
  /** Wall time of its end. */
  readonly notAfterMs: number;
}

/** Checked, frozen in time. Structured-cloneable. */
export interface TlsMaterial {
  /** The same for the same content. */
  readonly version: string;
  /** The first is for clients that name nobody we know. Never empty. */
  readonly certificates: readonly Certificate[];
  /** PEM of the authorities of client certificates; null: none are asked for. */
  readonly ca: string | null;
  readonly crl: string | null;
}

/** Something wrong with what a key of the configuration names. */
export interface Fault {
  readonly severity: 'error' | 'warning';
  /** From the `tls` mapping: `certificates`, 0, `cert`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Time alone has made it: a certificate has ended, or not begun. */
  readonly isUntimely?: true;
}

/** Collects what is wrong below one part of the configuration. */
export class Faults {
  readonly list: Fault[];
  readonly #path: readonly (string | number)[];

  readonly #isFlat: boolean;

  constructor(path: readonly (string | number)[] = [], list: Fault[] = [], isFlat = false) {
    this.#path = path;
    this.list = list;
    this.#isFlat = isFlat;
  }

  below(...path: readonly (string | number)[]): Faults {
    return this.#isFlat ? this : new Faults([...this.#path, ...path], this.list);
  }

  /** Of the same place, with a list of its own until it is taken. */
  apart(): Faults {
    return new Faults(this.#path, [], this.#isFlat);
  }

  /** The same, but that all which is said below is said here. */
  flat(): Faults {
    return new Faults(this.#path, this.list, true);
  }

  take(list: readonly Fault[]): void {
    this.list.push(...list);
  }

  get hasErrors(): boolean {
    return this.list.some(({ severity }) => severity === 'error');
  }

  error(message: string): null {
    this.list.push({ severity: 'error', path: this.#path, message });
    return null;
  }

  /** An error that time alone has made. */
  untimely(message: string): void {
    this.list.push({ severity: 'error', path: this.#path, message, isUntimely: true });
  }

  warning(message: string): void {
    this.list.push({ severity: 'warning', path: this.#path, message });
  }
}

/** A certificate, those that lead to its authority, and its key, in PEM form and not encrypted. */
export interface Pair {
  readonly all: readonly X509Certificate[];
  readonly cert: string;
  readonly key: string;
}

/** What a listener shows to clients. Null when there are errors, but for those that time alone has made. Never throws. */
export function readCertificate(files: Files, named: CertificateFiles, faults: Faults): Certificate | null {
  const inside = faults.apart();
  const pair = readPair(files, named, inside);
  const leaf = pair?.all[0];
  if (pair !== null) checkComplete(named, pair.all, inside.below(named.chain === null ? 'cert' : 'chain'));
  faults.take(inside.list);
  const isUsable = inside.list.every(({ severity, isUntimely }) => severity === 'warning' || isUntimely);
  if (pair === null || leaf === undefined || !isUsable) return null;
  const { cert, key } = pair;
  const names = namesOf(leaf);
  return {
    cert,
    key,
    keyType: leaf.publicKey.asymmetricKeyType ?? '',
    names,
    label: names[0] ?? named.cert,
    notAfterMs: Date.parse(leaf.validTo),
  };
}

/** They fit, are good today and stand in order. Null when one of the files cannot be used. Never throws. */
export function readPair(files: Files, named: CertificateFiles, faults: Faults): Pair | null {
  const written = readCertificates(files, named.cert, faults.below('cert'));
  const further = named.chain === null ? [] : readCertificates(files, named.chain, faults.below('chain'));
  const key = readKey(files, named, faults);
  if (written === null || further === null || key === null) return null;
  const all = [...written, ...further];
  if (!isPair(named, all, key, faults.below('key'))) return null;
  checkTimes(named, all, files.nowMs, faults.below('cert'));
  checkOrder(all, faults.below(named.chain === null ? 'cert' : 'chain'));
  const shown = distinct(all);
  return { all: shown, cert: textOf(shown), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** PEM of all certificates in the file; null when there are none, or none that is good today. */
export function readAuthorities(files: Files, path: string, faults: Faults): string | null {
  const found = readCertificates(files, path, faults);
  if (found === null) return null;
  const expired = found.filter(({ validTo }) => Date.parse(validTo) <= files.nowMs);
  if (expired.length === found.length)
    return faults.error(`the authorities in "${path}" have expired, nobody could be verified; renew them`);
  return textOf(found);
}

function textOf(certificates: readonly X509Certificate[]): string {
  return certificates.map((certificate) => certificate.toString()).join('');
}

/** All certificates of a file, in their order; null and an error when there is none or one that is none. */
export function readCertificates(files: Files, path: string, faults: Faults): X509Certificate[] | null {
  const read = files.read(path);
  if ('refused' in read) return faults.error(`"${path}" ${read.refused}`);
  const blocks = pemBlocks(read.bytes);
  const texts = blocks.filter(({ type }) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(type));
  if (texts.length === 0)
    return faults.error(`"${path}" ${withoutBlock(read.bytes, 'a certificate', blocks)}`);
  const found: X509Certificate[] = [];
  for (const [index, { text }] of texts.entries()) {
    try {
      found.push(whole(text));
    } catch {
      return faults.error(`"${path}": the ${ordinal(index)} certificate is damaged, copy the file anew`);
    }
  }
  return found;
}

/** Throws also where what is read only when it is asked for cannot be read: nobody may meet that later. */
function whole(text: string): X509Certificate {
  const certificate = new X509Certificate(text);
  void certificate.subjectAltName;
  return certificate;
}

function readKey(files: Files, named: CertificateFiles, faults: Faults): KeyObject | null {
  const { key: path, passphrase } = named;
  const at = faults.below('key');
  const read = files.read(path);
  if ('refused' in read) return at.error(`"${path}" ${read.refused}`);
  const blocks = pemBlocks(read.bytes);
  const block = blocks.find(({ type }) => type.endsWith('PRIVATE KEY'));
  if (block === undefined) return at.error(`"${path}" ${withoutBlock(read.bytes, 'a private key', blocks)}`);
  if (read.isOpenToAll) return at.error(`"${path}" ${openKey(path)}`);
  const isEncrypted = block.type.startsWith('ENCRYPTED') || block.text.includes('4,ENCRYPTED');
  if (isEncrypted && passphrase === null)
    return at.error(
      `"${path}" is encrypted and there is no "passphrase"; add one (it may come from the environment), or decrypt it with "openssl pkey"`,
    );
  try {
    return createPrivateKey({
      key: block.text,
      ...(isEncrypted && passphrase !== null ? { passphrase } : {}),
    });
  } catch {
    return isEncrypted
      ? faults
          .below('passphrase')
          .error(`"passphrase" does not open "${path}", expected the one that the key was encrypted with`)
      : at.error(`"${path}" holds a damaged private key, copy the file anew`);
  }
}

function isPair(
  named: CertificateFiles,
  all: readonly X509Certificate[],
  key: KeyObject,
  faults: Faults,
): boolean {
  const fits = all.findIndex((certificate) => certificate.checkPrivateKey(key));
  if (fits > 0)
    faults.error(
      `key "${named.key}" belongs to the ${ordinal(fits)} certificate in "${named.cert}", which must stand first, before its chain`,
    );
  else if (fits < 0)
    faults.error(
      `key "${named.key}" does not fit certificate "${named.cert}" (${nameOf(all[0])}), expected the key that the certificate was made for`,
    );
  return fits === 0;
}

function checkTimes(
  named: CertificateFiles,
  all: readonly X509Certificate[],
  nowMs: number,
  faults: Faults,
): void {
  const isGood = ({ validFrom, validTo }: X509Certificate): boolean =>
    Date.parse(validTo) > nowMs && Date.parse(validFrom) <= nowMs;
  const good = all.filter((certificate, index) => index === 0 || isGood(certificate));
  const isWholeWithout = good.length < all.length && isWhole(linked(good));
  for (const [index, certificate] of all.entries()) {
    const which =
      index === 0 ? `certificate "${named.cert}"` : `the ${ordinal(index)} certificate with "${named.cert}"`;
    const who = nameOf(certificate);
    const endMs = Date.parse(certificate.validTo);
    if (index > 0 && isWholeWithout && !isGood(certificate))
      faults.warning(`${which} (${who}) is not valid today, and clients do not need it: leave it out`);
    else if (endMs <= nowMs) faults.untimely(`${which} (${who}) has expired on ${day(endMs)}, renew it`);
    else if (Date.parse(certificate.validFrom) > nowMs)
      faults.untimely(
        `${which} (${who}) is not valid before ${day(Date.parse(certificate.validFrom))}; look at the clock of this machine, or use the former one until then`,
      );
    else if (index === 0 && endMs - nowMs < EXPIRES_SOON_MS)
      faults.warning(
        `${which} (${who}) expires on ${day(endMs)}, in ${Math.floor((endMs - nowMs) / DAY_MS)} days: renew it`,
      );
  }
}

/** What nobody needs is a warning where the rest is whole: whoever meant it to be part of the chain has a gap elsewhere. */
function checkOrder(all: readonly X509Certificate[], faults: Faults): void {
  const chain = linked(all);
  for (const [index, certificate] of all.entries()) {
    const which = `the ${ordinal(index)} certificate (${nameOf(certificate)})`;
    if (chain.includes(certificate)) continue;
    const first = all.findIndex(({ fingerprint512 }) => fingerprint512 === certificate.fingerprint512);
    if (first < index) faults.warning(`${which} is the ${ordinal(first)} again, it is left out`);
    else if (isWhole(chain))
      faults.warning(`${which} has issued none before it, clients do not need it: leave it out`);
    else {
      const issuer = oneLine((all[index - 1] as X509Certificate).issuer);
      faults.error(
        `${which} has not issued the one before it, which "${issuer}" has; the order is leaf, its issuer, the issuer of that`,
      );
      return;
    }
  }
}

/** Clients have to be able to follow it to an authority. */
function checkComplete(named: CertificateFiles, all: readonly X509Certificate[], faults: Faults): void {
  const last = all.at(-1) as X509Certificate;
  if (all.length > 1 || isEnd(last)) return;
  const missing = `"${named.cert}" has no chain: its issuer "${oneLine(last.issuer)}" is not in it, and clients do not know that; append the intermediate certificates, or name their file with "chain"`;
  // an authority that says where its own certificate is to be had is an intermediate one
  if (last.infoAccess?.includes('CA Issuers') === true) faults.error(missing);
  else faults.warning(`${missing}. An authority of your own that all clients have needs none`);
}

/** The names that clients look for: the alternative ones, or else the common name. */
function namesOf({ subjectAltName, subject }: X509Certificate): readonly string[] {
  const names = [...(subjectAltName ?? '').matchAll(/(?:^|, )DNS:([A-Za-z0-9_.*-]+)(?=,|$)/g)].map(
    ([, name = '']) => name.toLowerCase(),
  );
  if (subjectAltName !== undefined) return [...new Set(names)];
  const common = /(?:^|\n)CN=([A-Za-z0-9_.*-]+)$/m.exec(subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}

function nameOf(certificate: X509Certificate | undefined): string {
  if (certificate === undefined) return '';
  const [first] = certificate.subjectAltName === undefined ? [] : namesOf(certificate);
  return first ?? oneLine(certificate.subject);
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ');
}

function ordinal(index: number): string {
  return ORDINALS[index] ?? `${index + 1}th`;
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
