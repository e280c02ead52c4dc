// All that a listener needs to speak TLS, read from its files and checked as a whole.

import { createHash } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import {
  type Certificate,
  Faults,
  readAuthorities,
  readCertificate,
  type TlsMaterial,
} from './certificate.ts';
import { contextOptions } from './context-options.ts';
import { derItems } from './der.ts';
import type { Files } from './files.ts';
import type { CertificateFiles, TlsConfig } from './options.ts';
import { pemBlocks, withoutBlock } from './pem.ts';

const CERTIFICATES_MAX = 1000;
/** UTCTime, GeneralizedTime. */
const TIME_TAGS: ReadonlySet<number> = new Set([0x17, 0x18]);
/** Of the authority: cert-manager puts it into the secret beside the pair. */
const AUTHORITY_FILE = 'ca.crt';

/** Null when there are errors, which `faults` then holds. `own`: for a listener that is to sign its certificate itself. */
export function readMaterial(
  tls: TlsConfig,
  files: Files,
  faults: Faults,
  own: () => Certificate,
): TlsMaterial | null {
  const certificates = tls.selfSigned ? [own()] : readAll(tls, files, faults);
  const ca = tls.ca === null ? null : readAuthorities(files, tls.ca, faults.below('ca'));
  const crl = tls.crl === null ? null : readRevocations(files, tls.crl, faults.below('crl'));
  if (faults.hasErrors) return null;
  const content = JSON.stringify([certificates, ca, crl, tls]);
  const version = createHash('sha256').update(content).digest('hex');
  const material = { version, certificates, ca, crl };
  const refused = contextProblem(tls, material);
  return refused === null ? material : faults.below('certificates').error(refused);
}

/** The files that the material is made of, for whoever watches them. */
export function filesOf({ certificates, ca, crl }: TlsConfig, files: Files): readonly string[] {
  const found = (certificates ?? []).flatMap((item) => {
    if ('cert' in item) return [item.cert, item.key, item.chain];
    const pairs = pairsIn(item.folder, files, new Faults());
    return [item.folder, ...pairs.flatMap(({ cert, key }) => [cert, key])];
  });
  return [...new Set([...found, ca, crl].filter((path) => path !== null))];
}

function readAll(tls: TlsConfig, files: Files, faults: Faults): readonly Certificate[] {
  const byName = new Map<string, string>();
  return (tls.certificates ?? []).flatMap((item, index) => {
    const at = faults.below('certificates', index);
    if ('cert' in item) return readOne(item, files, at, byName);
    const folder = at.below('folder');
    return pairsIn(item.folder, files, folder).flatMap((pair) => {
      const inside = new Faults();
      const found = readOne(pair, files, inside, byName);
      // there is no line for each file in a folder
      for (const { severity, message } of inside.list) folder[severity](message);
      return found;
    });
  });
}

function readOne(
  pair: CertificateFiles,
  files: Files,
  faults: Faults,
  byName: Map<string, string>,
): readonly Certificate[] {
  const certificate = readCertificate(files, pair, faults);
  if (certificate === null) return [];
  checkNames(certificate, pair, byName, faults.below('cert'));
  return [certificate];
}

/** A name may have one certificate for each kind of key. */
function checkNames(
  { names, keyType }: Certificate,
  { cert }: CertificateFiles,
  byName: Map<string, string>,
  faults: Faults,
): void {
  for (const name of names) {
    const earlier = byName.get(`${name} ${keyType}`);
    if (earlier === undefined) byName.set(`${name} ${keyType}`, cert);
    else
      faults.error(
        `certificate "${cert}" is for "${name}", which "${earlier}" is for as well, both with a key of type ${keyType}; leave one of them out (RSA and ECDSA may stand side by side)`,
      );
  }
}

/**
 * Pairs in a folder: NAME.pem, NAME.crt or NAME.cer with NAME.key or in the same file, and folders with fullchain.pem and
 * privkey.pem, as certbot has them. In the order of their names, but one called `default` first.
 */
function pairsIn(folder: string, files: Files, faults: Faults): readonly CertificateFiles[] {
  const names = files.list(folder);
  if ('refused' in names) {
    faults.error(`"${folder}" ${names.refused}`);
    return [];
  }
  const pairs = names
    .toSorted((a, b) => Number(/^default\b/.test(b)) - Number(/^default\b/.test(a)))
    .flatMap((name) => pairOf(folder, name, files));
  if (pairs.length === 0)
    faults.error(
      `"${folder}" holds no certificates, expected NAME.pem or NAME.crt with NAME.key, or folders with fullchain.pem and privkey.pem`,
    );
  if (pairs.length > CERTIFICATES_MAX)
    faults.error(`"${folder}" holds ${pairs.length} certificates, at most ${CERTIFICATES_MAX} are read`);
  return pairs;
}

function pairOf(folder: string, name: string, files: Files): readonly CertificateFiles[] {
  const path = `${folder.replace(/\/$/, '')}/${name}`;
  const rest = { chain: null, passphrase: null };
  if (files.isFile(`${path}/fullchain.pem`))
    return [{ cert: `${path}/fullchain.pem`, key: `${path}/privkey.pem`, ...rest }];
  const stem = /^(.*)\.(pem|crt|cer)$/.exec(path)?.[1];
  if (stem === undefined || !files.isFile(path)) return [];
  const beside = [`${stem}.key`, `${path}.key`, `${stem}-key.pem`].find((key) => files.isFile(key));
  if (beside === undefined && name === AUTHORITY_FILE) return [];
  if (stem.endsWith('-key') && files.isFile(`${stem.slice(0, -4)}.pem`)) return [];
  return [{ cert: path, key: beside ?? path, ...rest }];
}

function readRevocations(files: Files, path: string, faults: Faults): string | null {
  const read = files.read(path);
  if ('refused' in read) return faults.error(`"${path}" ${read.refused}`);
  const blocks = pemBlocks(read.bytes);
  const lists = blocks.filter(({ type }) => type === 'X509 CRL');
  if (lists.length === 0) return faults.error(`"${path}" ${withoutBlock(read.bytes, 'a X509 CRL', blocks)}`);
  const text = lists.map((list) => list.text).join('');
  try {
    createSecureContext({ crl: text });
  } catch {
    return faults.error(`"${path}" holds a damaged revocation list, copy the file anew`);
  }
  const ended = lists.map((list) => endOfList(list.text)).find((endMs) => endMs <= files.nowMs);
  if (ended !== undefined)
    faults.warning(
      `a revocation list in "${path}" has ended on ${new Date(ended).toISOString().slice(0, 10)}: no client of its authority is taken for good; renew it`,
    );
  return text;
}

/** Wall time of `nextUpdate` (RFC 5280 section 5.1), the second of the two times; never where there is none. */
function endOfList(text: string): number {
  const whole = derItems(Buffer.from(text.replaceAll(/-----.*-----|\s/g, ''), 'base64'))?.[0];
  const tbs = whole === undefined ? undefined : derItems(whole.content)?.[0];
  const times = tbs === undefined ? null : derItems(tbs.content)?.filter(({ tag }) => TIME_TAGS.has(tag));
  const digits = times?.[1]?.content.toString('latin1') ?? '';
  const [year = '', rest = ''] = /^(\d{2}|\d{4})(\d{10})Z$/.exec(digits)?.slice(1) ?? [];
  if (rest === '') return Number.POSITIVE_INFINITY;
  const century = Number(year) < 50 ? '20' : '19';
  const [month, day, hour, minute, second] = rest.match(/../g) ?? [];
  return Date.parse(
    `${year.length === 4 ? year : century + year}-${month}-${day}T${hour}:${minute}:${second}Z`,
  );
}

/** What OpenSSL says against it that the checks above have not seen; so that no thread meets it. */
function contextProblem(tls: TlsConfig, material: TlsMaterial): string | null {
  for (const certificate of material.certificates) {
    try {
      createSecureContext(contextOptions(tls, material, [certificate]));
    } catch (error) {
      return `certificate ${certificate.label} cannot be used: ${(error as Error).message}`;
    }
  }
  return null;
}
