// All certificates of a listener, and which of them time alone has made wrong. Nobody has changed anything then: a machine that
// starts again at night is to come back with the others.
//
//   ended, or not begun   named by the configuration      an error
//                         in a folder with good ones      a warning, and used for names that none of those is for; an error
//                                                         where a good one in use would be replaced
//                         in use                          a warning, and used on: what else has changed is not held up

import { type Certificate, type Fault, type Faults, readCertificate } from './certificate.ts';
import { pairsIn } from './certificate-folder.ts';
import type { Files } from './files.ts';
import type { CertificateFiles, TlsConfig } from './options.ts';

/** One that can be used, but for the time. */
interface Found {
  readonly certificate: Certificate;
  readonly file: string;
  readonly isTimely: boolean;
  /** In the same folder as one that is good. */
  readonly isBesideGood: boolean;
  /** What is wrong with it, and where else is said what is. */
  readonly list: readonly Fault[];
  readonly faults: Faults;
}

/** `inUse`: what clients get at present. */
export function readAll(
  { certificates }: TlsConfig,
  files: Files,
  faults: Faults,
  inUse: readonly Certificate[],
): readonly Certificate[] {
  const found = (certificates ?? []).flatMap((item, index) => {
    const at = faults.below('certificates', index);
    return 'cert' in item ? readOne(item, files, at.apart(), at) : readFolder(item.folder, files, at);
  });
  const names = namesOfEach(found);
  const kept = new Set(inUse.map(({ cert }) => cert));
  const good = inUse.filter(({ notAfterMs }) => notAfterMs > files.nowMs);
  const held = new Set(good.flatMap((certificate) => certificate.names));
  return found.flatMap((one) => {
    const { certificate, list, faults } = one;
    const left = names.get(one) ?? [];
    const isReplacing = left.some((name) => isAmong(name, held));
    const isForgiven = kept.has(certificate.cert) || (one.isBesideGood && !isReplacing);
    faults.take(isForgiven ? list.map((fault) => forgiven(fault, left)) : list);
    if (left.length === certificate.names.length) return [certificate];
    return left.length === 0 ? [] : [{ ...certificate, names: left }];
  });
}

/** `inside`: for what is wrong with it, which is said in `faults` at once where it cannot be used. */
function readOne(pair: CertificateFiles, files: Files, inside: Faults, faults: Faults): readonly Found[] {
  const certificate = readCertificate(files, pair, inside);
  const { list } = inside;
  if (certificate === null) {
    faults.take(list);
    return [];
  }
  const isTimely = !list.some(({ isUntimely }) => isUntimely);
  return [{ certificate, file: pair.cert, isTimely, isBesideGood: false, list, faults }];
}

function readFolder(path: string, files: Files, at: Faults): readonly Found[] {
  // there is no line for each file in a folder
  const folder = at.below('folder').flat();
  const found = pairsIn(path, files, folder).flatMap((pair) => readOne(pair, files, folder.apart(), folder));
  const isBesideGood = found.some(({ isTimely }) => isTimely);
  return found.map((one) => ({ ...one, isBesideGood }));
}

/** A name may have one certificate for each kind of key; one that time has made wrong has what is left, the last to end first. */
function namesOfEach(found: readonly Found[]): ReadonlyMap<Found, readonly string[]> {
  const byName = new Map<string, string>();
  const names = new Map<Found, readonly string[]>();
  const timely = found.filter(({ isTimely }) => isTimely);
  for (const one of timely) {
    names.set(one, one.certificate.names);
    checkNames(one, byName);
  }
  const taken = new Set(timely.flatMap(({ certificate }) => certificate.names));
  const rest = found.filter(({ isTimely }) => !isTimely);
  for (const one of rest.toSorted((a, b) => b.certificate.notAfterMs - a.certificate.notAfterMs)) {
    const { keyType } = one.certificate;
    const left = one.certificate.names.filter(
      (name) => !isAmong(name, taken) && !byName.has(`${name} ${keyType}`),
    );
    for (const name of left) byName.set(`${name} ${keyType}`, one.file);
    names.set(one, left);
  }
  return names;
}

function checkNames({ certificate, file, faults }: Found, byName: Map<string, string>): void {
  const { names, keyType } = certificate;
  for (const name of names) {
    const earlier = byName.get(`${name} ${keyType}`);
    if (earlier === undefined) byName.set(`${name} ${keyType}`, file);
    else
      faults
        .below('cert')
        .error(
          `certificate "${file}" is for "${name}", which "${earlier}" is for as well, both with a key of type ${keyType}; leave one of them out (RSA and ECDSA may stand side by side)`,
        );
  }
}

/** Also by its wildcard. */
function isAmong(name: string, names: ReadonlySet<string>): boolean {
  const dot = name.indexOf('.');
  return names.has(name) || (dot > 0 && names.has(`*${name.slice(dot)}`));
}

/** `left`: the names that it is still used for. */
function forgiven(fault: Fault, left: readonly string[]): Fault {
  if (fault.isUntimely !== true) return fault;
  const meanwhile =
    left.length > 0 ? 'its clients turn away until then, those of others do not' : 'its names have others';
  return { ...fault, severity: 'warning', message: `${fault.message}; ${meanwhile}` };
}
