// One process of those that share a folder at a time. The lock is the system's, on a file, and goes with the process that
// has it. Node gives no way to such a lock but by SQLite, which takes one on its database; nothing is ever written there.
// The file stays: who takes away one that another has just opened lets two in.

export interface FileLock {
  release(): void;
}

const BUSY = 5;

/** Null: somebody else has it. Rejects where the file system has no locks, or the file cannot be written. */
export async function takeLock(path: string): Promise<FileLock | null> {
  const { DatabaseSync } = await import('node:sqlite');
  let database: InstanceType<typeof DatabaseSync> | null = null;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('BEGIN EXCLUSIVE');
    const held = database;
    return { release: () => held.close() };
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === BUSY) return null;
    throw new Error(`${path} cannot be locked: ${(error as Error).message}`);
  }
}
