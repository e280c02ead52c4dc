// The program's log: JSON lines on standard error, readable lines when that is a terminal.

import { type Logger, type LoggerOptions, pino } from 'pino';
import { type StandardStream, standardError } from '../base/standard-stream.ts';
import { terminalLine } from './terminal-line.ts';

export type { Logger };

/** For people and collectors alike: the level as a word, the time as ISO 8601 in UTC. */
const IN_WORDS: LoggerOptions = {
  formatters: { level: (word) => ({ level: word }) },
  timestamp: pino.stdTimeFunctions.isoTime,
};

/** What the lines are written to. */
export type LogStream = Pick<StandardStream, 'isTerminal' | 'write' | 'onRead'>;

/** Writes synchronously as long as somebody reads: the last line before a crash is the one that is needed. */
export function createLogger(level: string, stream: LogStream = standardError()): Logger {
  const write = (line: string): void => stream.write(stream.isTerminal ? terminalLine(line) : line);
  const log = pino({ level, base: null, ...(stream.isTerminal ? {} : IN_WORDS) }, { write });
  stream.onRead = (dropped) => log.warn({ dropped }, 'the log was not read: lines are missing here');
  return log;
}
