// All that a listener needs to speak TLS, read from its files and checked as a whole.

import { createHash } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { type Certificate, Faults, readAuthorities, type TlsMaterial } from './certificate.ts';
import { pairsIn } from './certificate-folder.ts';
import { readAll } from './certificate-list.ts';
import { contextOptions } from './context-options.ts';
import { derItems } from './der.ts';
import type { Files } from './files.ts';
import type { TlsConfig } from './options.ts';
import { pemBlocks, withoutBlock } from './pem.ts';

/** UTCTime, GeneralizedTime. */
const TIME_TAGS: ReadonlySet<number> = new Set([0x17, 0x18]);

/**
 * Null when there are errors, which `faults` then holds. `own`: for a listener that is to sign its certificate itself. `inUse`:
 * what clients get at present.
 */
export function readMaterial(
  tls: TlsConfig,
  files: Files,
  faults: Faults,
  own: () => Certificate,
  inUse: readonly Certificate[] = [],
): TlsMaterial | null {
  const certificates = tls.selfSigned ? [own()] : readAll(tls, files, faults, inUse);
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
