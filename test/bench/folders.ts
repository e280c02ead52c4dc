/** Temporary folders that are gone when this process is, however it ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = new Set<string>();
let isGuarded = false;

/** A new folder of its own, only for this user. */
export function makeFolder(purpose: string): string {
  if (!isGuarded) process.once('exit', removeAll);
  isGuarded = true;
  const folder = mkdtempSync(join(tmpdir(), `holdfast-bench-${purpose}-`));
  folders.add(folder);
  return folder;
}

/** Removes it with all it holds. */
export function removeFolder(folder: string): void {
  folders.delete(folder);
  rmSync(folder, { recursive: true, force: true });
}

function removeAll(): void {
  for (const folder of folders) removeFolder(folder);
}
