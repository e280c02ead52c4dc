// What `acme` of a listener means together with the rest, and whether its folder can be used.

import { Faults, readCertificates } from '../tls/certificate.ts';
import type { Files } from '../tls/files.ts';
import type { AcmeConfig, TlsConfig } from '../tls/options.ts';
import { certifiable } from './certificate-names.ts';
import type { Remarks } from './remarks.ts';
import type { Written, WrittenListener } from './schema.ts';
import type { Path } from './tree.ts';

/** What must be alike where the storage is one. */
const ALIKE = ['email', 'challenge', 'ca'] as const;

/** For one listener; `tls` with the names that were found. `files` null: the disk is not looked at. */
export function checkAcme(
  here: Path,
  { acme: written }: NonNullable<WrittenListener['tls']>,
  tls: TlsConfig,
  { routes, listen }: Written,
  files: Files | null,
  remarks: Remarks,
): void {
  const { acme } = tls;
  if (acme === null || written === null) return;
  checkListed([...here, 'names'], written.names ?? [], remarks);
  if (written.names === null) checkRouteHosts(here, acme, tls, routes, remarks);
  const hasPlain = listen.some((listener) => listener.tls === null);
  if (acme.challenge === 'http-01' && !hasPlain)
    remarks.error(
      [...here, 'challenge'],
      '"challenge: http-01" is asked for over http, and no listener is in the clear: add one that the authority reaches at port 80, or use "challenge: tls-alpn-01"',
      [['listen']],
    );
  if (files === null) return;
  const problem = files.keepingProblem(acme.storage);
  const storage = [...here, 'storage'];
  if (problem?.isOfTheDisk === true)
    remarks.warning(
      storage,
      `"storage": ${problem.message}; no certificate is ordered or renewed until it can, clients get what is stored, or one that signs itself`,
    );
  else if (problem !== null) remarks.error(storage, `"storage": ${problem.message}`);
  if (acme.ca === null) return;
  const faults = new Faults();
  readCertificates(files, acme.ca, faults);
  for (const { message } of faults.list) remarks.error([...here, 'ca'], message);
}

function checkListed(at: Path, names: readonly string[], remarks: Remarks): void {
  for (const [index, name] of names.entries()) {
    const first = names.indexOf(name);
    const path = [...at, index];
    if (first < index)
      remarks.clash(path, [...at, first], `name "${name}" is already in the list, in line {line}`);
    const why = certifiable(name);
    if (why !== null)
      remarks.error(path, `"${name}": ${why}; name the hosts, or have a certificate as files`);
  }
}

function checkRouteHosts(
  here: Path,
  acme: AcmeConfig,
  { certificates }: TlsConfig,
  routes: Written['routes'],
  remarks: Remarks,
): void {
  if (acme.names.length === 0)
    remarks.errorAtKey(
      here,
      '"acme" finds no name for a certificate: no route has a "host" that is one; list them, "names: [example.com]"',
      [['routes']],
    );
  for (const [index, { host }] of (routes ?? []).entries()) {
    const why = host === null || certificates !== null ? null : certifiable(host.toLowerCase());
    if (why !== null && acme.names.length > 0)
      remarks.warning(
        ['routes', index, 'host'],
        `"${host}" gets no automatic certificate: ${why}; list the names that are in use, "acme: { names: [...] }", or have a certificate as files`,
      );
  }
}

/** Listeners that share what is stored are to agree. */
export function checkSharedStorage(listen: readonly WrittenListener[], remarks: Remarks): void {
  const first = new Map<string, number>();
  for (const [index, { tls }] of listen.entries()) {
    const acme = tls?.acme ?? null;
    if (acme === null) continue;
    const key = `${acme.storage} ${acme.directory}`;
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, index);
    const other = earlier === undefined ? null : listen[earlier]?.tls?.acme;
    const differs = other == null ? undefined : ALIKE.find((name) => other[name] !== acme[name]);
    if (differs === undefined || earlier === undefined) continue;
    remarks.clash(
      ['listen', index, 'tls', 'acme', differs],
      ['listen', earlier, 'tls', 'acme'],
      `"${differs}" is another than in line {line}, with the same "storage" and "directory": make them alike, or give this one its own "storage"`,
    );
  }
}
