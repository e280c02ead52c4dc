// What a thread lends to its exchanges: shared memory, clock, choosing, and what several of them have in common.

import type { TurnClock } from '../base/clock.ts';
import type { FailureKind, FailureSide } from '../base/failure.ts';
import type { Chooser } from '../choose/chooser.ts';
import type { PoolPlan } from '../choose/plan.ts';
import type { RetryBudget } from '../choose/retry.ts';
import type { RequestHead } from '../http1/message.ts';
import type { SharedState } from '../shared/shared-state.ts';
import type { Stripe } from '../shared/stripe.ts';
import type { AccessLog } from './access-log.ts';
import type { BadResponses } from './bad-responses.ts';
import type { Deadlines } from './deadlines.ts';
import type { ReplyContent } from './reply-content.ts';
import type { ServerStreams } from './streams.ts';
import type { TakeoverBarrier } from './takeover-barrier.ts';
import type { WaitQueue } from './wait-queue.ts';

export interface ExchangeServices {
  readonly shared: SharedState;
  readonly own: Stripe;
  readonly clock: TurnClock;
  readonly deadlines: Deadlines;
  readonly chooser: Chooser;
  readonly accessLog: AccessLog;
  /** The last head parsed on this thread; valid until the next is. */
  readonly requestHead: RequestHead;
  /** Null unless another process is taking over. */
  readonly barrier: TakeoverBarrier | null;
  readonly startsTraces: boolean;
  /** Our name in Via; null: none. */
  readonly via: string | null;
  readonly badResponses: BadResponses;
  readonly isTrustedAddress: (address: string) => boolean;
  servers(slot: number): ServerStreams;
  /**
   * A connection to the server could not be made: it is left alone for a moment, and main is to look at it. `hasAccepted`: it
   * is there, but has ended the connection, or did not come to TLS.
   */
  notReached(slot: number, hasAccepted: boolean): void;
  takeRetry(plan: PoolPlan, nowMs: number): boolean;
  retryBudget(plan: PoolPlan): RetryBudget;
  queue(plan: PoolPlan): WaitQueue;
  /** May the client know what exactly was wrong? */
  tells(facts: { readonly side: FailureSide }): boolean;
  slotFreed(plan: PoolPlan, slot: number): void;
  /** What our own reply to a request says. `fields`: its header lines. `plan`: null where no pool is known. `resetCode`: of the server. */
  ownReply(
    kind: FailureKind,
    detail: string,
    fields: string,
    requestId: string,
    plan: PoolPlan | null,
    resetCode?: number,
  ): ReplyContent;
}
