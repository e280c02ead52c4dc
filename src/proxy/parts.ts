// What the parts of the data path know of each other, so that no file has to import the one that made it:
//
//   thread -> listener -> client connection -> exchange -> response relay
//                                                 |-> upstream connection -> upstream pool

import type { Socket } from 'node:net';
import type { TurnClock } from '../base/clock.ts';
import type { FailureKind, FailureSide } from '../base/failure.ts';
import type { Affinity } from '../choose/affinity.ts';
import type { Chooser } from '../choose/chooser.ts';
import type { PoolPlan } from '../choose/plan.ts';
import type { RetryBudget } from '../choose/retry.ts';
import type { Router } from '../choose/route.ts';
import type { ListenConfig } from '../config/model.ts';
import type { HeadLimits, RequestHead, ResponseHead } from '../http1/message.ts';
import type { SharedState } from '../shared/shared-state.ts';
import type { Stripe } from '../shared/stripe.ts';
import type { AccessLog, AccessRecord } from './access-log.ts';
import type { BadResponses } from './bad-responses.ts';
import type { BodyReader } from './body-reader.ts';
import type { ClientLimits } from './client-limits.ts';
import type { HeldBack, Holdable } from './held-back.ts';
import type { ReadBuffers, Reader } from './read-buffers.ts';
import type { Forwarding } from './request-lines.ts';
import type { UpstreamConnection } from './upstream-connection.ts';
import type { UpstreamPool } from './upstream-pool.ts';
import type { WaitQueue } from './wait-queue.ts';

/** What a client connection waits for; decides what happens when it does not come. */
export type Waiting =
  | 'none'
  | 'first-byte'
  | 'head'
  | 'keep-alive'
  | 'body'
  | 'queue'
  | 'response'
  | 'progress'
  | 'linger';

/** The worker thread as its parts see it: shared memory, clock, and what is lent out. */
export interface ThreadPart {
  readonly shared: SharedState;
  readonly own: Stripe;
  readonly clock: TurnClock;
  readonly chooser: Chooser;
  readonly buffers: ReadBuffers;
  /** The last head parsed on this thread; valid until the next is. */
  readonly requestHead: RequestHead;
  readonly responseHead: ResponseHead;
  readonly router: Router;
  readonly accessLog: AccessLog;
  readonly limits: ClientLimits;
  /** Null unless another process is taking over. */
  readonly heldBack: HeldBack | null;
  readonly startsTraces: boolean;
  /** Our name in Via; null: none. */
  readonly via: string | null;
  readonly badResponses: BadResponses;
  readonly isTrustedAddress: (address: string) => boolean;
  takeExchange(): ExchangePart;
  upstreamPool(slot: number): UpstreamPool;
  takeRetry(plan: PoolPlan, nowMs: number): boolean;
  retryBudget(plan: PoolPlan): RetryBudget;
  queue(plan: PoolPlan): WaitQueue;
  slotFreed(plan: PoolPlan, slot: number): void;
  refusalFacts(refusal: number): { readonly kind: FailureKind; readonly detail: string };
  kindIndex(kind: FailureKind): number;
  /** May the client know what exactly was wrong? */
  tells(facts: { readonly side: FailureSide }): boolean;
}

/** A listener as its connections see it. */
export interface ListenerPart {
  readonly config: ListenConfig;
  readonly headLimits: HeadLimits;
  readonly port: number;
  readonly authority: string;
  readonly isStopping: boolean;
  readonly isRetiring: boolean;
}

/** A client's connection as its exchange sees it. */
export interface ClientPart extends Forwarding, Holdable {
  readonly socket: Socket;
  readonly listener: ListenerPart;
  readonly isPaused: boolean;
  exchange: ExchangePart | null;
  setDeadline(waiting: Waiting, deadlineMs: number): void;
  pause(): void;
  resume(): void;
  takePending(): Buffer | null;
  mayServeMore(): boolean;
  passOn(part: Buffer, target: Socket, before?: string): boolean;
  reply(kind: FailureKind, detail: string, isHead: boolean, isKept: boolean): void;
  exchangeDone(isKept: boolean): void;
  breakOff(): void;
}

/** An exchange as its client's connection and the access log see it. */
export interface ExchangePart {
  readonly requestBody: BodyReader;
  readonly relay: RelayPart;
  readonly affinity: Affinity;
  readonly keepAlive: boolean;
  begin(client: ClientPart, plan: PoolPlan, buffer: Buffer, headEnd: number, nowMs: number): number;
  onRequestData(chunk: Buffer): number;
  keepHeld(reader: Reader): void;
  onClientDrain(): void;
  onResponseTimeout(): void;
  fail(kind: FailureKind, detail: string): void;
  abort(): void;
}

/** The response as seen from the client's side. */
export interface RelayPart {
  readonly isHeadSent: boolean;
  readonly status: number;
  readonly bytes: number;
  readonly tunnel: TunnelPart;
  onSilence(): void;
}

/** What follows a successful upgrade, as seen from the client's side. */
export interface TunnelPart {
  readonly isOpen: boolean;
  fromClient(chunk: Buffer): void;
  onClientEnd(): void;
  end(): void;
}

/** An exchange as its response relay sees it. */
export interface RelayedExchange {
  readonly thread: ThreadPart;
  readonly client: ClientPart | null;
  readonly upstream: UpstreamConnection | null;
  readonly plan: PoolPlan | null;
  readonly affinity: Affinity;
  readonly requestBody: BodyReader;
  readonly record: AccessRecord | null;
  readonly slot: number;
  readonly sentMs: number;
  readonly isHead: boolean;
  readonly isSecure: boolean;
  readonly clientVersionMinor: number;
  readonly keepAlive: boolean;
  readonly wantsUpgrade: boolean;
  retryStatus(status: number): boolean;
  attemptFailed(kind: FailureKind, detail?: string): void;
  fail(kind: FailureKind, detail: string): void;
  complete(isReusable: boolean, hintMs: number): void;
}
