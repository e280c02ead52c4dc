// What a thread and a listener lend to their client connections.

import type { TurnClock } from '../base/clock.ts';
import type { ListenConfig } from '../config/model.ts';
import type { AccessLog } from '../exchange/access-log.ts';
import type { Gate } from '../exchange/admission.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { HeadLimits, RequestHead } from '../http1/message.ts';
import type { Stripe } from '../shared/stripe.ts';
import type { ReadBuffers } from './read-buffers.ts';

/** The thread as its client connections see it. */
export interface ConnectionServices extends Gate {
  readonly own: Stripe;
  readonly clock: TurnClock;
  readonly buffers: ReadBuffers;
  /** The last head parsed on this thread; valid until the next is. */
  readonly requestHead: RequestHead;
  readonly accessLog: AccessLog;
  takeExchange(): Exchange;
}

/** A listener as its connections see it. */
export interface ConnectionListener {
  readonly config: ListenConfig;
  readonly headLimits: HeadLimits;
  readonly port: number;
  readonly authority: string;
  readonly isStopping: boolean;
  readonly isRetiring: boolean;
}
