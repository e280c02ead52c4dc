// The files that outlive a process: replaced as a whole, for this user only; what cannot be read is set aside, never
// overwritten.

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';

const SECRET_BYTES = 32;
const PRIVATE_MODE = 0o600;
const ASIDE_MAX = 1000;

export type SecretResult =
  | { readonly kind: 'found' | 'made'; readonly secret: Uint8Array }
  | { readonly kind: 'failed'; readonly message: string };

/** The secret kept in `<sessionsFile>.secret`, 32 bytes; made on first use, readable by this user only. */
export function loadSecret(sessionsFile: string): SecretResult {
  const path = `${sessionsFile}.secret`;
  try {
    const text = fs.readFileSync(path, 'utf8').trim();
    if (!/^[0-9a-f]{64}$/.test(text)) {
      return { kind: 'failed', message: `${path} does not hold a secret: expected 64 hexadecimal digits` };
    }
    if ((fs.statSync(path).mode & 0o077) !== 0) fs.chmodSync(path, PRIVATE_MODE);
    return { kind: 'found', secret: Buffer.from(text, 'hex') };
  } catch (error) {
    if (!isMissing(error)) return { kind: 'failed', message: `reading ${path} failed: ${messageOf(error)}` };
  }
  const secret = randomBytes(SECRET_BYTES);
  try {
    replaceFile(path, Buffer.from(`${secret.toString('hex')}\n`));
    return { kind: 'made', secret };
  } catch (error) {
    return { kind: 'failed', message: `writing ${path} failed: ${messageOf(error)}` };
  }
}

/**
 * Renames a file that this version cannot read to `PATH.aside`, or `PATH.aside-2` and so on. Returns the new path;
 * throws when it cannot be renamed.
 */
export function setAside(path: string): string {
  for (let number = 1; number <= ASIDE_MAX; number += 1) {
    const aside = number === 1 ? `${path}.aside` : `${path}.aside-${number}`;
    try {
      // fails where there is one already, which a rename would overwrite
      fs.linkSync(path, aside);
      fs.unlinkSync(path);
      return aside;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error(`there are ${ASIDE_MAX} files that have been set aside already`);
}

/** Why no file can be kept at the path, null when one can: tried by making one beside it. */
export function placeProblem(path: string): string | null {
  const probe = `${path}.${process.pid}.probe`;
  try {
    fs.closeSync(fs.openSync(probe, 'w', PRIVATE_MODE));
    fs.rmSync(probe);
    if (!fs.existsSync(path)) return null;
    if (!fs.statSync(path).isFile()) return `${path} is no file`;
    fs.accessSync(path, fs.constants.R_OK | fs.constants.W_OK);
    return null;
  } catch (error) {
    return `${path} cannot be written: ${messageOf(error)}`;
  }
}

/** Readers see the old file or the new one, also after a crash. */
export function replaceFile(path: string, bytes: Uint8Array): void {
  const temporary = temporaryOf(path);
  try {
    const file = fs.openSync(temporary, 'w', PRIVATE_MODE);
    try {
      fs.writeFileSync(file, bytes);
      fs.fsyncSync(file);
    } finally {
      fs.closeSync(file);
    }
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/** Where a file is written before it takes its place. */
export function temporaryOf(path: string): string {
  return `${path}.${process.pid}.tmp`;
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
