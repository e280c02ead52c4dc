// An authority of the test's own, and certificates by it.

import { CertificateFiles } from './certificates.ts';
import { needs } from './needs.ts';

export interface Certificate {
  /** Files in PEM form, and what is in them. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

export interface Authority {
  readonly caFile: string;
  readonly ca: string;
  readonly directory: string;
  /** For what else there is to be made in it. */
  readonly files: CertificateFiles;
  /** For names such as `DNS:app.test` and `IP:127.0.0.1`. `days`: how long it is valid from now; negative: it has expired. */
  issue(names: string, days?: number): Certificate;
}

/** `skip` as in needs.ts. */
export function authority(skip: (reason: string) => never): Authority {
  const files = new CertificateFiles(needs('openssl', skip));
  files.issue('ca', { names: ['Test authority'], days: 30, isAuthority: true });
  let count = 0;
  return {
    caFile: files.file('ca.pem'),
    ca: files.text('ca.pem'),
    directory: files.path,
    files,
    issue: (names, days = 30) => {
      count += 1;
      files.issue(String(count), { names: names.split(','), by: 'ca', days });
      const [cert, key] = [`${count}.pem`, `${count}.key`];
      return {
        certFile: files.file(cert),
        keyFile: files.file(key),
        cert: files.text(cert),
        key: files.text(key),
      };
    },
  };
}
