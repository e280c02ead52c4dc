// How long what a test opens stays open: until the test ends, or, opened inside `forFile`, until the file's last test; in
// a program that is no test, until `forProgram` is over.

import { beforeAll, beforeEach, onTestFinished } from 'vitest';

type Cleanup = () => unknown;

let cleanupsOfFile: Cleanup[] | null = null;

/** Runs `cleanup` when the test ends, or the file where `forFile` is under way. */
export function whenDone(cleanup: Cleanup): void {
  if (cleanupsOfFile !== null) cleanupsOfFile.push(cleanup);
  else onTestFinished(async () => void (await cleanup()));
}

/** Opens once what all tests of the file share. Where `start` calls `skip`, all of them are skipped for that reason. */
export function forFile(start: (skip: (reason: string) => never) => unknown): void {
  let without = '';
  const skipAll = (reason: string): never => {
    without = reason;
    throw new Error(reason);
  };
  beforeEach(({ skip }) => {
    if (without !== '') skip(without);
  });
  beforeAll(async () => {
    const cleanups: Cleanup[] = [];
    cleanupsOfFile = cleanups;
    try {
      await start(skipAll);
    } catch (error) {
      if (without === '') throw error;
    } finally {
      cleanupsOfFile = null;
    }
    return async () => {
      for (const cleanup of cleanups.reverse()) await cleanup();
    };
  });
}

/** For programs that are no tests: what is opened inside stays open until `run` is over. */
export async function forProgram<T>(run: () => Promise<T>): Promise<T> {
  const cleanups: Cleanup[] = [];
  cleanupsOfFile = cleanups;
  try {
    return await run();
  } finally {
    cleanupsOfFile = null;
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}
