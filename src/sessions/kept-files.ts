// The secret that outlives a process.

import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { messageOf } from '../base/message-of.ts';
import { isMissing, PRIVATE_MODE, replaceFile, setAside } from '../base/private-files.ts';

const SECRET_BYTES = 32;

export type SecretResult =
  | { readonly kind: 'found' | 'made'; readonly secret: Uint8Array }
  | { readonly kind: 'failed'; readonly message: string };

const KEPT = /^[0-9a-f]{64}$/;

/** The secret kept in `<sessionsFile>.secret`, 32 bytes; made on first use, readable by this user only. */
export function loadSecret(sessionsFile: string): SecretResult {
  const path = `${sessionsFile}.secret`;
  try {
    const text = fs.readFileSync(path, 'utf8').trim();
    if (!KEPT.test(text)) {
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

/** Keeps that secret, in hexadecimal digits, where `loadSecret` finds it; another that is there is set aside. Throws when it cannot. */
export function keepSecret(sessionsFile: string, secret: string): void {
  const path = `${sessionsFile}.secret`;
  if (!KEPT.test(secret)) throw new Error('it is of a version that made it otherwise');
  if (fs.existsSync(path)) {
    if (fs.readFileSync(path, 'utf8').trim() === secret) return;
    setAside(path);
  }
  replaceFile(path, Buffer.from(`${secret}\n`));
}
