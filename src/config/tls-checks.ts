// What the keys of a listener's `tls` mean together, and what is in the files that they name.

import { isOldGroup } from '../base/tls-groups.ts';
import { Faults } from '../tls/certificate.ts';
import type { Files } from '../tls/files.ts';
import { readMaterial } from '../tls/material.ts';
import type { TlsConfig } from '../tls/options.ts';
import { selfSigned } from '../tls/self-signed.ts';
import { checkAcme, checkSharedStorage } from './acme-checks.ts';
import { tlsConfig } from './certificate-names.ts';
import { checkGroups } from './group-checks.ts';
import type { Remarks } from './remarks.ts';
import type { Written, WrittenListener } from './schema.ts';
import type { Path } from './tree.ts';

/** `files`: where certificates are looked at; null: they are not. */
export function checkTls(written: Written, files: Files | null, remarks: Remarks): void {
  const { listen } = written;
  const hasTls = listen.some(({ tls }) => tls !== null);
  checkSharedStorage(listen, remarks);
  checkRoutes(written, remarks);
  for (const [index, listener] of listen.entries()) {
    const { tls, redirectToHttps, redirectPort } = listener;
    const redirect: Path = ['listen', index, 'redirectToHttps'];
    checkListener(['listen', index, 'tls'], listener, written, files, remarks);
    if (tls !== null && redirectToHttps)
      remarks.error(
        redirect,
        '"redirectToHttps" would send clients of a listener with "tls" to where they are, set it on the listener in the clear',
      );
    else if (redirectPort !== null && !redirectToHttps)
      remarks.warning(
        ['listen', index, 'redirectPort'],
        '"redirectPort" has no effect without "redirectToHttps: true"',
      );
    else if (redirectToHttps && !hasTls && redirectPort === null)
      remarks.warning(
        redirect,
        'no listener has "tls": the redirect leads to port 443, where another program must listen',
      );
  }
}

function checkRoutes({ listen, routes }: Written, remarks: Remarks): void {
  const isAsked = listen.some(({ tls }) => (tls?.clientAuth ?? 'none') !== 'none');
  for (const [index, { clientAuth }] of (routes ?? []).entries())
    if (clientAuth !== null && !isAsked)
      remarks.warning(
        ['routes', index, 'clientAuth'],
        'no listener asks clients for a certificate: nobody gets in here; set "clientAuth: request" in the "tls" of one',
      );
}

function checkListener(
  here: Path,
  listener: WrittenListener,
  written: Written,
  files: Files | null,
  remarks: Remarks,
): void {
  const tls = tlsConfig(listener, written.routes);
  if (listener.tls === null || tls === null) return;
  checkTogether(here, tls, remarks);
  checkListenerGroups(here, tls, remarks);
  checkAcme([...here, 'acme'], listener.tls, tls, written, files, remarks);
  if (files === null || tls.selfSigned === (tls.certificates !== null || tls.acme !== null)) return;
  const faults = new Faults();
  const material = readMaterial(tls, files, faults, () => selfSigned(['localhost'], files.nowMs));
  for (const { severity, path, message } of faults.list) remarks[severity]([...here, ...path], message);
  for (const [index, name] of (listener.tls.acme?.names ?? []).entries()) {
    const found = material?.certificates.find(({ names }) => names.includes(name));
    if (found !== undefined)
      remarks.error(
        [...here, 'acme', 'names', index],
        `"certificates" has a certificate for "${name}" already (${found.label}), leave one of them out`,
        [[...here, 'certificates']],
      );
  }
}

function checkListenerGroups(here: Path, { groups, minVersion, ciphers }: TlsConfig, remarks: Remarks): void {
  if (groups === null) return;
  const at = [...here, 'groups'];
  checkGroups(at, groups, remarks);
  if (ciphers === 'modern' || minVersion === '1.3' || groups.some(isOldGroup)) return;
  remarks.warning(
    at,
    '"groups" has none for clients of TLS 1.2, which are turned away; add X25519 or P-256, or set "minVersion" to 1.3',
    [
      [...here, 'minVersion'],
      [...here, 'ciphers'],
    ],
  );
}

function checkTogether(here: Path, tls: TlsConfig, remarks: Remarks): void {
  const { certificates, acme, minVersion, ciphers, clientAuth, ca, crl } = tls;
  const other = certificates !== null ? 'certificates' : acme !== null ? 'acme' : null;
  if (tls.selfSigned && other !== null)
    remarks.error(
      [...here, 'selfSigned'],
      `"selfSigned" and "${other}" exclude each other, leave one of them out`,
      [[...here, other]],
    );
  else if (!tls.selfSigned && other === null)
    remarks.errorAtKey(
      here,
      '"tls" needs "certificates: [{ cert: FILE, key: FILE }]", a folder of them, "acme: { email: ADDRESS }" for automatic ones, or "selfSigned: true" for development',
      [
        [...here, 'certificates'],
        [...here, 'acme'],
      ],
    );
  if (ciphers === 'modern' && minVersion === '1.2')
    remarks.error(
      [...here, 'minVersion'],
      '"ciphers: modern" is for TLS 1.3 alone, leave "minVersion" out or use "ciphers: intermediate"',
    );
  if (clientAuth !== 'none' && ca === null)
    remarks.error(
      [...here, 'clientAuth'],
      `"clientAuth: ${clientAuth}" needs "ca", the file of the authorities that client certificates are signed by`,
      [[...here, 'ca']],
    );
  for (const [name, value] of Object.entries({ ca, crl }))
    if (clientAuth === 'none' && value !== null)
      remarks.error(
        [...here, name],
        `"${name}" has no effect without "clientAuth: request" or "clientAuth: require"`,
      );
}
