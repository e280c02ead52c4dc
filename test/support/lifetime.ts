// How long what a test opens stays open: until the test ends, or, opened inside `forFile`, until the file's last test; in
// a program that is no test, until `forProgram` is over.

import { beforeAll, onTestFinished } from 'vitest';

type Cleanup = () => unknown;

let cleanupsOfFile: Cleanup[] | null = null;

/** Runs `cleanup` when the test ends, or the file where `forFile` is under way. */
export function whenDone(cleanup: Cleanup): void {
  if (cleanupsOfFile !== null) cleanupsOfFile.push(cleanup);
  else onTestFinished(async () => void (await cleanup()));
}

/** Opens once what all tests of the file share. */
export function forFile(start: () => Promise<void>): void {
  beforeAll(async () => {
    const cleanups: Cleanup[] = [];
    cleanupsOfFile = cleanups;
    try {
      await start();
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
