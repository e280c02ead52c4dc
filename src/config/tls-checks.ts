// What the keys of a listener's `tls` mean together, and what is in the files that they name.

import { Faults } from '../tls/certificate.ts';
import type { Files } from '../tls/files.ts';
import { readMaterial } from '../tls/material.ts';
import type { TlsConfig } from '../tls/options.ts';
import { selfSigned } from '../tls/self-signed.ts';
import type { Remarks } from './remarks.ts';
import type { WrittenListener } from './schema.ts';
import type { Path } from './tree.ts';

/** `files`: where certificates are looked at; null: they are not. */
export function checkTls(listen: readonly WrittenListener[], files: Files | null, remarks: Remarks): void {
  const hasTls = listen.some(({ tls }) => tls !== null);
  for (const [index, { tls, redirectToHttps }] of listen.entries()) {
    const redirect: Path = ['listen', index, 'redirectToHttps'];
    if (tls !== null) checkListener(['listen', index, 'tls'], tls, files, remarks);
    if (tls !== null && redirectToHttps)
      remarks.error(
        redirect,
        '"redirectToHttps" would send clients of a listener with "tls" to where they are, set it on the listener in the clear',
      );
    else if (redirectToHttps && !hasTls)
      remarks.warning(
        redirect,
        'no listener has "tls": the redirect leads to port 443, where another program must listen',
      );
  }
}

function checkListener(here: Path, tls: TlsConfig, files: Files | null, remarks: Remarks): void {
  checkTogether(here, tls, remarks);
  if (files === null || tls.selfSigned === (tls.certificates !== null)) return;
  const faults = new Faults();
  readMaterial(tls, files, faults, () => selfSigned(['localhost'], files.nowMs));
  for (const { severity, path, message } of faults.list) remarks[severity]([...here, ...path], message);
}

function checkTogether(here: Path, tls: TlsConfig, remarks: Remarks): void {
  const { certificates, minVersion, ciphers, clientAuth, ca, crl } = tls;
  if (tls.selfSigned && certificates !== null)
    remarks.error(
      [...here, 'selfSigned'],
      '"selfSigned" and "certificates" exclude each other, leave one of them out',
      [[...here, 'certificates']],
    );
  else if (!tls.selfSigned && certificates === null)
    remarks.errorAtKey(
      here,
      '"tls" needs "certificates: [{ cert: FILE, key: FILE }]", a folder of them, or "selfSigned: true" for development',
      [[...here, 'certificates']],
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
