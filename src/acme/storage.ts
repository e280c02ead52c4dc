// What an authority has given, on the disk: for this user alone, whole or not at all.
//
//   STORAGE/AUTHORITY/                        0700, one for each directory URL
//     account.json                            0600  address, e-mail, key
//     NAME.pem                                0600  key, certificate, chain: in one file, so that they change together
//     NAME.order.json                         0600  an order that is under way: whoever comes next goes on with it
//     lock                                    who has it may order (base/file-lock.ts)
//
// What cannot be read is set aside and said, and made anew.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import { messageOf } from '../base/message-of.ts';
import { isMissing, PRIVATE_MODE, replaceFile, setAside } from '../base/private-files.ts';
import { type Certificate, Faults, readCertificate } from '../tls/certificate.ts';
import { realFiles } from '../tls/files.ts';
import type { AcmeConfig } from '../tls/options.ts';
import { pemBlocks } from '../tls/pem.ts';
import { AcmeProblem } from './problem.ts';

const PRIVATE_FOLDER_MODE = 0o700;
const FOR_OTHERS = 0o077;
const FILE_BYTES_MAX = 1024 * 1024;
/** A certificate that is valid for less would be ordered again and again. */
const LIFE_LEAST_MS = 5000;

export interface StoredAccount {
  /** '' until the authority has made it. */
  readonly url: string;
  readonly email: string;
  /** PEM. */
  readonly key: string;
}

/** The certificate that the authority now has, in PEM, and its key. */
export interface Obtained {
  readonly key: string;
  readonly chain: string;
}

/** What a challenge is answered with. */
export interface Challenge {
  readonly type: AcmeConfig['challenge'];
  readonly name: string;
  readonly token: string;
  readonly keyAuthorization: string;
}

export interface StoredOrder {
  /** '' until the authority has it. */
  readonly url: string;
  /** PEM, of the certificate to come. */
  readonly key: string;
  /** Wall time. */
  readonly begunMs: number;
  /** null: none is to be answered yet. */
  readonly challenge: Challenge | null;
}

export interface StoredCertificate extends Certificate {
  /** Wall time of its begin. */
  readonly notBeforeMs: number;
  /** Wall time when it was stored. */
  readonly obtainedMs: number;
}

export class AcmeStorage {
  readonly folder: string;
  readonly #log: Log;

  constructor({ storage, directory }: AcmeConfig, log: Log) {
    const { host, pathname } = new URL(directory);
    this.folder = join(storage, `${host}${pathname}`.replaceAll(/[^A-Za-z0-9.-]+/g, '-'));
    this.#log = log;
  }

  /** Throws what the system throws. */
  makeFolder(): void {
    mkdirSync(this.folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  }

  get lockFile(): string {
    return join(this.folder, 'lock');
  }

  #path(name: string, end: '.pem' | '.order.json'): string {
    return join(this.folder, `${name}${end}`);
  }

  account(): StoredAccount | null {
    const path = join(this.folder, 'account.json');
    const { url, email, key } = this.#json(path) ?? {};
    if (typeof url === 'string' && typeof email === 'string' && isKey(key)) return { url, email, key };
    this.#setAside(path, 'it is no account');
    return null;
  }

  keepAccount(account: StoredAccount): void {
    this.#write(join(this.folder, 'account.json'), JSON.stringify(account));
  }

  /** The authority does not know it any more. */
  dropAccount(): void {
    this.#setAside(join(this.folder, 'account.json'), 'the authority does not take it any more');
  }

  order(name: string): StoredOrder | null {
    const path = this.#path(name, '.order.json');
    const { url, key, begunMs, challenge } = this.#json(path) ?? {};
    if (typeof url === 'string' && isKey(key) && typeof begunMs === 'number' && isChallenge(challenge))
      return { url, key, begunMs, challenge };
    this.#setAside(path, 'it is no order');
    return null;
  }

  keepOrder(name: string, order: StoredOrder): void {
    this.#write(this.#path(name, '.order.json'), JSON.stringify(order));
  }

  /** Where that cannot be done it is said: it is too old to be gone on with before long. */
  dropOrder(name: string): void {
    try {
      rmSync(this.#path(name, '.order.json'), { force: true });
    } catch (error) {
      this.#log.warn({}, `an order that is over cannot be removed: ${messageOf(error)}`);
    }
  }

  /** Changes with the file; '' when there is none. */
  stamp(name: string): string {
    return realFiles(0).stamp(this.#path(name, '.pem'));
  }

  /** Whatever the time is: who looks at a clock is who renews it. */
  certificate(name: string): StoredCertificate | null {
    const path = this.#path(name, '.pem');
    const text = this.#text(path);
    if (text === null) return null;
    try {
      return { ...checked(path, text, name), obtainedMs: statSync(path).mtimeMs };
    } catch (error) {
      this.#setAside(path, messageOf(error));
      return null;
    }
  }

  /**
   * `chain` as the authority gave it. Throws AcmeProblem when it is not what was asked for, no better than the one
   * `inUse`, or cannot be written.
   */
  keepCertificate(
    name: string,
    { key, chain }: Obtained,
    inUse: StoredCertificate | null,
    wallMs: number,
  ): void {
    const path = this.#path(name, '.pem');
    const certificates = pemBlocks(Buffer.from(chain)).filter(({ type }) => type === 'CERTIFICATE');
    const text = `${key.trimEnd()}\n${certificates.map((block) => block.text).join('')}`;
    try {
      assertUseful(checked(path, text, name), inUse, wallMs);
    } catch (error) {
      throw new AcmeProblem('refused', `what it gave cannot be used: ${messageOf(error)}`);
    }
    this.#write(path, text);
  }

  #write(path: string, text: string): void {
    try {
      this.makeFolder();
      replaceFile(path, Buffer.from(text));
    } catch (error) {
      throw new AcmeProblem('failed', `${path} cannot be written: ${messageOf(error)}`);
    }
  }

  /** Null when there is no such file or it cannot be read. Rights that are too wide are taken back. */
  #text(path: string): string | null {
    try {
      const { mode, size } = statSync(path);
      if (size > FILE_BYTES_MAX) throw new Error(`it has ${size} bytes`);
      if ((mode & FOR_OTHERS) !== 0) this.#takeBack(path);
      return readFileSync(path, 'utf8');
    } catch (error) {
      if (!isMissing(error)) this.#log.error({}, `${path} cannot be read: ${messageOf(error)}`);
      return null;
    }
  }

  /** What is stored is used all the same, also from a disk that cannot be written. */
  #takeBack(path: string): void {
    try {
      chmodSync(path, PRIVATE_MODE);
      this.#log.warn({}, `${path} could be read by others, which is no more; it may be known to them`);
    } catch (error) {
      this.#log.error({}, `${path} can be read by others, which cannot be changed: ${messageOf(error)}`);
    }
  }

  #json(path: string): Readonly<Record<string, unknown>> | null {
    try {
      const value: unknown = JSON.parse(this.#text(path) ?? 'null');
      return typeof value === 'object' && value !== null ? { ...value } : null;
    } catch {
      return null;
    }
  }

  /** Where there is something. */
  #setAside(path: string, why: string): void {
    try {
      this.#log.error({}, `${path} is not used, and now called ${setAside(path)}: ${why}`);
    } catch (error) {
      if (!isMissing(error)) this.#log.error({}, `${path} is not used: ${why}`);
    }
  }
}

/** Throws when it is not a certificate for the name with its key and chain. */
function checked(path: string, text: string, name: string): Omit<StoredCertificate, 'obtainedMs'> {
  if (!text.trimEnd().endsWith('-----END CERTIFICATE-----'))
    throw new Error('it does not end with a certificate');
  const bytes = Buffer.from(text);
  const leaf = pemBlocks(bytes).find(({ type }) => type === 'CERTIFICATE');
  if (leaf === undefined) throw new Error('it holds no certificate');
  const notBeforeMs = Date.parse(new X509Certificate(leaf.text).validFrom);
  const faults = new Faults();
  const files = { ...realFiles(notBeforeMs), read: () => ({ bytes, isOpenToAll: false }) };
  const found = readCertificate(files, { cert: path, key: path, chain: null, passphrase: null }, faults);
  const wrong = faults.list.find(({ severity }) => severity === 'error');
  if (found === null || wrong !== undefined) throw new Error(wrong?.message ?? 'it cannot be read');
  if (!found.names.includes(name)) throw new Error(`it is for ${found.names.join(', ')}, not for ${name}`);
  // for whatever else it is, others are asked
  return { ...found, names: [name], label: name, notBeforeMs };
}

/** Throws. A clock may be wrong: where there is nothing better, what has ended by it is taken. */
function assertUseful(
  { notBeforeMs, notAfterMs }: Omit<StoredCertificate, 'obtainedMs'>,
  inUse: StoredCertificate | null,
  wallMs: number,
): void {
  const lifeMs = notAfterMs - notBeforeMs;
  if (lifeMs < LIFE_LEAST_MS) throw new Error(`it is valid for ${lifeMs / 1000} s`);
  if (notAfterMs <= wallMs && inUse !== null && inUse.notAfterMs > wallMs)
    throw new Error(`it has ended on ${new Date(notAfterMs).toISOString()}, and the one in use has not`);
}

function isKey(value: unknown): value is string {
  try {
    return typeof value === 'string' && createPrivateKey(value).asymmetricKeyType === 'ec';
  } catch {
    return false;
  }
}

function isChallenge(value: unknown): value is Challenge | null {
  if (value === null) return true;
  if (typeof value !== 'object') return false;
  const { type, name, token, keyAuthorization } = value as Record<string, unknown>;
  const isText = [name, token, keyAuthorization].every((each) => typeof each === 'string');
  return isText && (type === 'http-01' || type === 'tls-alpn-01');
}
