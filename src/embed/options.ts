// What createBalancer may be told beside the configuration.

import type { Log } from '../base/log.ts';
import type { HealthTransition } from '../health/monitor.ts';
import type { Environment } from './config-input.ts';

/** What a logger has to offer; pino's fits. */
export interface EmbedLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface BalancerOptions {
  /** Where changes of health, reloads and warnings go. Absent: nowhere. */
  readonly log?: EmbedLog;
  /** Values for `${NAME}` in the configuration. Absent: the process's environment. */
  readonly env?: Environment;
  /** Hears of every change of a server's verdict. */
  readonly onTransition?: (transition: HealthTransition) => void;
}

export const SILENT: EmbedLog = { info: () => undefined, warn: () => undefined };

/** Errors are told as warnings: the application goes on. */
export function logOf({ log = SILENT }: BalancerOptions): Log {
  const [info, warn] = [log.info.bind(log), log.warn.bind(log)];
  return { debug: () => undefined, info, warn, error: warn };
}
