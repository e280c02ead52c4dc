// Certificates of an authority of the test's own, made by openssl in a folder that goes with the test.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whenDone } from './lifetime.ts';

interface Wanted {
  /** DNS names, or with their kind: `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  readonly key?: 'ec' | 'rsa';
  /** Who signs it: a name that was issued before; absent: itself. */
  readonly by?: string;
  readonly days?: number;
  readonly isAuthority?: boolean;
  /** Further lines of its extensions. */
  readonly more?: readonly string[];
}

export class CertificateFiles {
  readonly path: string = mkdtempSync(join(tmpdir(), 'holdfast-certificates-'));
  readonly #openssl: string;

  /** `openssl`: path of the program. */
  constructor(openssl: string) {
    this.#openssl = openssl;
    whenDone(() => rmSync(this.path, { recursive: true, force: true }));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  text(name: string): string {
    return readFileSync(this.file(name), 'utf8');
  }

  write(name: string, content: string | Buffer, mode = 0o600): string {
    writeFileSync(this.file(name), content, { mode });
    return this.file(name);
  }

  run(...args: readonly string[]): Buffer {
    return execFileSync(this.#openssl, args, { cwd: this.path, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Makes NAME.pem and NAME.key. */
  issue(name: string, wanted: Wanted = {}): void {
    const { names = [`${name}.test`], key = 'ec', by, days = 90, isAuthority = false, more = [] } = wanted;
    const kind = key === 'ec' ? ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'] : ['rsa:2048'];
    const subject = `/CN=${names[0]?.replace(/^.*:/, '') ?? name}`;
    this.run(
      'req',
      '-new',
      '-newkey',
      ...kind,
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      subject,
    );
    const alternatives = names.map((each) => (each.includes(':') ? each : `DNS:${each}`)).join(',');
    const lines = isAuthority ? ['basicConstraints=critical,CA:true'] : [`subjectAltName=${alternatives}`];
    this.write(`${name}.ext`, [...lines, ...more].join('\n'));
    const signer =
      by === undefined
        ? ['-signkey', `${name}.key`]
        : ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial'];
    this.run(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...signer,
      '-days',
      String(days),
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    );
  }

  /** NAME.pem is followed by these, in a file of its own. */
  bundle(to: string, ...names: readonly string[]): void {
    this.write(to, names.map((name) => this.text(`${name}.pem`)).join(''));
  }

  copy(from: string, to: string): void {
    copyFileSync(this.file(from), this.file(to));
  }
}
