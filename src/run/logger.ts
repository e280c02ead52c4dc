// The program's log: JSON lines on standard error, readable lines when that is a terminal.

import { type Logger, pino } from 'pino';
import { standardError } from '../base/standard-stream.ts';

export type { Logger };

/** Writes synchronously as long as somebody reads: the last line before a crash is the one that is needed. */
export async function createLogger(level: string): Promise<Logger> {
  const stream = standardError();
  const write = stream.isTerminal ? await prettyWrite() : (line: string) => stream.write(line);
  const log = pino({ level, base: null }, { write });
  stream.onRead = (dropped) => log.warn({ dropped }, 'the log was not read: lines are missing here');
  return log;
}

async function prettyWrite(): Promise<(line: string) => void> {
  const { prettyFactory } = await import('pino-pretty');
  const format = prettyFactory({ translateTime: 'HH:MM:ss.l', colorize: true });
  return (line) => standardError().write(format(line));
}
