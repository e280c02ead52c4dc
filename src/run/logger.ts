// The program's log: JSON lines on standard error, readable lines when that is a terminal.

import { type Logger, pino } from 'pino';

export type { Logger };

const STDERR = 2;

/** Writes synchronously: the last line before a crash is the one that is needed. */
export async function createLogger(level: string): Promise<Logger> {
  if (!process.stderr.isTTY) return pino({ level, base: null }, pino.destination({ fd: STDERR, sync: true }));
  const { default: pretty } = await import('pino-pretty');
  return pino(
    { level, base: null },
    pretty({ sync: true, destination: STDERR, translateTime: 'HH:MM:ss.l' }),
  );
}
