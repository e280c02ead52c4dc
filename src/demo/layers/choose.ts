// The one place that knows every session layer.
import type { BackendOptions } from '../flags.ts';
import type { SessionLayer } from '../session-layer.ts';
import { expressLayer } from './express-store.ts';
import { MemoryRecords } from './memory.ts';

/** The session layer of `options.architecture`; `storeDelayMs` is read at every store operation. */
export function chooseLayer(options: BackendOptions, storeDelayMs: () => number): SessionLayer {
  const express = {
    limits: options.limits,
    cookieName: options.cookieName,
    secret: options.secret,
    storeDelayMs,
  };
  switch (options.architecture) {
    case 'memory':
      return expressLayer(new MemoryRecords(), express);
    default:
      throw new Error(`architecture ${options.architecture} is not built yet`);
  }
}
