// Directories that only one user can enter. What is reached through one has been checked by the kernel: no token, secret or
// number of a process has to be believed.

import { lstatSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const OTHERS = 0o077;

/** Makes one, for this user (mode 0700). */
export function makePrivateDirectory(): string {
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? '';
  const parent = runtime !== '' && strangerProblem(runtime) === null ? runtime : tmpdir();
  return mkdtempSync(join(parent, 'holdfast-takeover-'));
}

/** Why the directory may be somebody else's doing; null when only this user can have put anything there. */
export function strangerProblem(path: string): string | null {
  try {
    const found = lstatSync(path);
    if (!found.isDirectory()) return `${path} is not a directory`;
    if (found.uid !== process.getuid?.()) return `${path} belongs to another user; both must run as the same`;
    return (found.mode & OTHERS) === 0 ? null : `${path} is open to other users`;
  } catch (error) {
    return (error as Error).message;
  }
}
