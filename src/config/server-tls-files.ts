// The files that `tls` of a pool names: read, tried, and put into the configuration, so that a wrong one is a problem of the
// configuration, with its place, and not of the first request.

import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import { contextOf, type TlsSettings } from '../base/tls-client.ts';
import { isOpenToAll, openKey } from '../tls/files.ts';
import { deepFreeze } from './build.ts';
import type { Loaded } from './load.ts';
import type { PoolConfig } from './model.ts';
import { type Problem, sortProblems } from './problem.ts';

const FILES = ['ca', 'cert', 'key'] as const;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const BYTES_MAX = 4 * 1024 * 1024;

/** What was wrong, with which key. */
class Wrong extends Error {
  readonly file: (typeof FILES)[number];

  constructor(file: (typeof FILES)[number], message: string) {
    super(message);
    this.file = file;
  }
}

/** `file`: name of the configuration in problems. Never rejects. */
export async function withServerTlsFiles(loaded: Loaded, file: string): Promise<Loaded> {
  const { config, written } = loaded;
  if (config === null) return loaded;
  const problems: Problem[] = [];
  const pools: PoolConfig[] = [];
  for (const pool of config.pools) {
    try {
      pools.push({ ...pool, secure: await settingsOf(pool) });
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      const path = ['pools', pool.name, 'tls', error.file].join('.');
      const { line = 0, column = 0 } = written.find(({ keys }) => keys.join('.') === path)?.place ?? {};
      problems.push({ file, line, column, message: `"tls.${error.file}": ${error.message}` });
    }
  }
  if (problems.length > 0)
    return { ...loaded, config: null, problems: sortProblems([...loaded.problems, ...problems]) };
  return { ...loaded, config: deepFreeze({ ...config, pools }) };
}

async function settingsOf({ tls, secure }: PoolConfig): Promise<TlsSettings> {
  const [ca, cert, key] = await Promise.all(
    FILES.map((file) => {
      const path = tls[file];
      return path === null ? null : contentOf(file, path);
    }),
  );
  const settings = { ...secure, ca: ca ?? null, cert: cert ?? null, key: key ?? null };
  if (ca != null) checkCertificates('ca', ca, tls.ca ?? '');
  if (cert != null) checkCertificates('cert', cert, tls.cert ?? '');
  try {
    contextOf(settings);
  } catch (error) {
    throw new Wrong('key', keyProblem(error, tls.key ?? '', tls.cert ?? ''));
  }
  return settings;
}

async function contentOf(file: (typeof FILES)[number], path: string): Promise<string> {
  try {
    const text = await readFile(path, 'latin1');
    if (text.length > BYTES_MAX) throw new Error(`larger than ${BYTES_MAX} bytes`);
    if (!text.includes('-----BEGIN'))
      throw new Error(
        'not in PEM form, which begins with "-----BEGIN"; openssl x509 -inform DER turns DER into it',
      );
    const isKey = file === 'key' && text.includes('PRIVATE KEY-----');
    if (isKey && isOpenToAll(await stat(path))) throw new Error(`it ${openKey(path)}`);
    return text;
  } catch (error) {
    throw new Wrong(file, `${path} cannot be used: ${(error as Error).message}`);
  }
}

function checkCertificates(file: 'ca' | 'cert', text: string, path: string): void {
  const found = text.match(CERTIFICATE) ?? [];
  if (found.length === 0)
    throw new Wrong(file, `${path} holds no certificate ("-----BEGIN CERTIFICATE-----")`);
  for (const [index, one] of found.entries()) {
    try {
      const certificate = new X509Certificate(one);
      if (file === 'cert' && index === 0 && certificate.validToDate.getTime() < systemClock.wallMs())
        throw new Error(`has expired, on ${certificate.validTo}`);
    } catch (error) {
      throw new Wrong(file, `certificate ${index + 1} in ${path}: ${(error as Error).message}`);
    }
  }
}

function keyProblem(error: unknown, path: string, cert: string): string {
  const { message } = error as Error;
  if (/key values mismatch/i.test(message))
    return `the key in ${path} is not that of the certificate in ${cert}`;
  if (/interrupted or cancelled|bad decrypt|password/i.test(message))
    return `the key in ${path} is encrypted, and there is no passphrase; openssl pkey writes it without`;
  return `${path} holds no key that can be used: ${message}`;
}
