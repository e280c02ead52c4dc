// An authority of the test's own, and certificates by it, made with openssl.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whenDone } from './lifetime.ts';
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
  /** For names such as `DNS:app.test` and `IP:127.0.0.1`. `days`: how long it is valid from now; negative: it has expired. */
  issue(names: string, days?: number): Certificate;
}

/** `skip` as in needs.ts. */
export function authority(skip: (reason: string) => never): Authority {
  const openssl = needs('openssl', skip);
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-authority-'));
  whenDone(() => rmSync(directory, { recursive: true, force: true }));
  const run = (...args: readonly string[]): void => {
    execFileSync(openssl, args, { cwd: directory, stdio: 'pipe' });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '30',
    '-subj',
    '/CN=Test authority',
  );
  let count = 0;
  const caFile = join(directory, 'ca.pem');
  return {
    caFile,
    ca: readFileSync(caFile, 'utf8'),
    directory,
    issue: (names, days = 30) => {
      count += 1;
      const [key, request, cert] = [`${count}.key`, `${count}.csr`, `${count}.pem`];
      run(
        'req',
        ...newKey,
        '-keyout',
        key,
        '-out',
        request,
        '-subj',
        `/CN=test ${count}`,
        '-addext',
        `subjectAltName=${names}`,
      );
      const signed = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy'];
      run('x509', '-req', '-in', request, '-out', cert, ...signed, '-days', String(days));
      return {
        certFile: join(directory, cert),
        keyFile: join(directory, key),
        cert: readFileSync(join(directory, cert), 'utf8'),
        key: readFileSync(join(directory, key), 'utf8'),
      };
    },
  };
}
