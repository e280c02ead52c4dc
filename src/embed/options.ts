// What createBalancer may be told beside the configuration.

import type { Log } from '../base/log.ts';
import type { HealthTransition } from '../health/monitor.ts';
import type { Environment } from './config-input.ts';
import { errorOf } from './guard.ts';

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
  /**
   * Listeners of http-proxy's 'proxyRes' answer in place of the servers, as with the option of that name of http-proxy:
   * each response is theirs to write and to end. Without such listeners responses go on as they came.
   */
  readonly selfHandleResponse?: boolean;
  /** Forwards in place of http-proxy: a proxy server of http-proxy-3 or httpxy, made without options and used for nothing else. */
  readonly httpProxy?: object;
  /** Hears of every change of a server's verdict. */
  readonly onTransition?: (transition: HealthTransition) => unknown;
}

export const SILENT: EmbedLog = { info: () => undefined, warn: () => undefined };

/** Errors are told as warnings: the application goes on. */
export function logOf({ log = SILENT }: BalancerOptions): Log {
  const [info, warn] = [log.info.bind(log), log.warn.bind(log)];
  return { debug: () => undefined, info, warn, error: warn };
}

/** The application's listener, whose faults are told to the log: a server that goes down does not take the process with it. */
export function transitionListener(
  { onTransition }: BalancerOptions,
  log: Log,
): (transition: HealthTransition) => void {
  const failed = (cause: unknown): void =>
    log.warn({ cause }, `onTransition failed: ${errorOf(cause).message}`);
  return (transition) => {
    try {
      const result = onTransition?.(transition);
      if (result instanceof Promise) result.catch(failed);
    } catch (cause) {
      failed(cause);
    }
  };
}
