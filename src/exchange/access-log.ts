// The access log of one thread: whether an exchange is logged is decided when it begins, its line is written when it
// ends, lines go to main in batches. Main is the only writer of the file, so lines stay whole, and a reader that does
// not keep up never holds a worker (see control/access-log-writer.ts).
//
// Costs nothing when off: one null test at each station of an exchange. On: 4.5 µs per line.

import type { Clock } from '../base/clock.ts';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import type { Random } from '../base/random.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { indexOfSlot } from '../choose/plan.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { Field, type RequestHead } from '../http1/message.ts';
import { AFFINITY_OUTCOMES } from '../shared/stripe.ts';
import { ownLine, requestIdIn } from './request-lines.ts';
import type { RequestBody } from './streams.ts';
import { loggedTls, type TlsFacts } from './tls-facts.ts';

/** Longer targets and hosts are cut, so that a line has a limit. */
const TARGET_CHARS_MAX = 2048;
const HOST_CHARS_MAX = 256;
/** Lines are handed over when so much has gathered, and at each tick of the thread. */
const BATCH_CHARS_MAX = 64 * 1024;
const TRACEPARENT = 'traceparent: ';

interface Attempt {
  readonly slot: number;
  /** Failure kind, `status 503`, or answered. */
  outcome: string;
}

/** A response as the log sees it at its end. */
interface SeenResponse {
  readonly isHeadSent: boolean;
  readonly status: number;
}

/** Who ended an exchange. */
export type EndedBy = 'client' | 'server' | 'self';

/** How a request came. */
export interface Way {
  /** null: in the clear. */
  readonly tls: TlsFacts | null;
  /** Number of its stream in HTTP/2; 0: by HTTP/1. */
  readonly streamId: number;
}

const UNKNOWN_WAY: Way = { tls: null, streamId: 0 };

/** What is known of one exchange that is logged. */
export class AccessRecord {
  readonly client: string;
  /** null: the client came in the clear. */
  readonly tls: TlsFacts | null;
  /** Number of its stream in HTTP/2; 0: it came by HTTP/1. */
  readonly streamId: number;
  readonly method: string;
  readonly target: string;
  readonly host: string;
  requestId: string;
  readonly trace: string;
  readonly startedMs: number;
  readonly attempts: Attempt[] = [];
  endedBy: EndedBy = 'server';
  error: FailureKind | null = null;
  /** What exactly was wrong; '' where the kind says all. */
  detail = '';
  status = 0;
  bytesIn: number;
  bytesOut = 0;
  affinity = 0;
  #queuedAtMs = 0;
  #attemptMs = 0;
  #sentMs = 0;
  #queueMs = 0;
  #connectMs = 0;
  #firstByteMs = -1;

  /** `headText`: the head as sent to the server, where our own request id is written; '' when it was never made. */
  constructor(
    buffer: Buffer,
    head: RequestHead,
    client: string,
    headText: string,
    nowMs: number,
    { tls, streamId }: Way = UNKNOWN_WAY,
  ) {
    this.client = client;
    this.tls = tls;
    this.streamId = streamId;
    this.method = head.method;
    this.target = buffer.toString(
      'latin1',
      head.targetBegin,
      Math.min(head.targetEnd, head.targetBegin + TARGET_CHARS_MAX),
    );
    this.host = buffer.toString(
      'latin1',
      head.hostBegin,
      Math.min(head.hostEnd, head.hostBegin + HOST_CHARS_MAX),
    );
    this.requestId = requestIdIn(headText);
    this.trace = traceId(fieldValue(buffer, head, Field.traceparent) || ownLine(headText, TRACEPARENT));
    this.bytesIn = head.fieldsEnd + 2 - head.lineBegin;
    this.startedMs = nowMs;
  }

  queued(nowMs: number): void {
    if (this.#queuedAtMs === 0) this.#queuedAtMs = nowMs;
  }

  /** A server was chosen. */
  attempt(slot: number, nowMs: number): void {
    if (this.#queuedAtMs > 0) this.#queueMs += nowMs - this.#queuedAtMs;
    this.#queuedAtMs = 0;
    this.attempts.push({ slot, outcome: 'answered' });
    this.#attemptMs = nowMs;
  }

  /** The request's head went out. */
  sent(nowMs: number): void {
    this.#sentMs = nowMs;
    this.#connectMs = nowMs - this.#attemptMs;
  }

  failed(outcome: string): void {
    const attempt = this.attempts.at(-1);
    if (attempt !== undefined) attempt.outcome = outcome;
  }

  answered(nowMs: number): void {
    this.#firstByteMs = nowMs - this.#sentMs;
  }

  /** Ended by us or a peer instead of with a whole response. */
  end(kind: FailureKind, detail = ''): void {
    this.error = kind;
    this.detail = detail;
    this.endedBy = FAILURES[kind].side;
    this.status = FAILURES[kind].status;
  }

  /** It did not become an exchange. */
  turnedAway(kind: FailureKind, requestId: string): void {
    this.requestId = requestId;
    this.end(kind);
  }

  /** The exchange is over; called while it still knows everything. */
  take(body: Pick<RequestBody, 'bytes'>, response: SeenResponse, outcome: number): void {
    if (response.isHeadSent) this.status = response.status;
    this.bytesIn += body.bytes;
    this.affinity = outcome;
  }

  /** The line, with its line break. */
  format(plan: PoolPlan | null, sample: number, nowMs: number, wallMs: number): string {
    if (this.#queuedAtMs > 0) this.#queueMs += nowMs - this.#queuedAtMs;
    const { attempts } = this;
    const servers = attempts.map(({ slot, outcome }) => ({ server: serverName(plan, slot), outcome }));
    const server = servers.at(-1)?.server ?? null;
    const startedWallMs = wallMs - (nowMs - this.startedMs);
    return (
      `{"time":"${new Date(startedWallMs).toISOString()}","requestId":${quote(this.requestId)}` +
      `${this.trace === '' ? '' : `,"traceId":"${this.trace}"`},"client":${quote(this.client)}${loggedTls(this.tls)}` +
      `${this.streamId > 0 ? `,"protocol":"h2","stream":${this.streamId}` : ''}` +
      `,"method":${quote(this.method)},"target":${quote(this.target)},"host":${quote(this.host)}` +
      `,"status":${this.status},"pool":${quote(plan?.config.name ?? null)},"server":${quote(server)}` +
      `${attempts.length > 1 ? `,"attempts":${JSON.stringify(servers)}` : ''}` +
      `,"affinity":"${AFFINITY_OUTCOMES[this.affinity] ?? 'none'}"` +
      `,"ms":{"queue":${ms(this.#queueMs)},"connect":${ms(this.#connectMs)}` +
      `,"firstByte":${this.#firstByteMs < 0 ? 'null' : ms(this.#firstByteMs)},"total":${ms(nowMs - this.startedMs)}}` +
      `,"bytesIn":${this.bytesIn},"bytesOut":${this.bytesOut},"endedBy":"${this.endedBy}"` +
      `,"error":${quote(this.error)}${this.detail === '' ? '' : `,"detail":${quote(this.detail)}`},"sampled":${sample}}\n`
    );
  }
}

export class AccessLog {
  /** Share of exchanges that are logged; 0 = the log is off. */
  sample = 0;
  readonly #random: Random;
  readonly #send: (lines: string) => void;
  #lines = '';

  /** `send` takes whole lines. */
  constructor(random: Random, send: (lines: string) => void) {
    this.#random = random;
    this.#send = send;
  }

  configure(accessLog: HoldfastConfig['accessLog']): void {
    this.sample = accessLog?.sample ?? 0;
  }

  /** Whether the exchange that begins now is logged. */
  draws(): boolean {
    return this.sample >= 1 || (this.sample > 0 && this.#random.next() < this.sample);
  }

  /** Writes what it has come to; null: it is not logged. `bytes`: of the answer, its head included. */
  write(record: AccessRecord | null, bytes: number, plan: PoolPlan | null, clock: Clock): void {
    if (record === null) return;
    record.bytesOut = bytes;
    this.#lines += record.format(plan, this.sample, clock.nowMs(), clock.wallMs());
    if (this.#lines.length >= BATCH_CHARS_MAX) this.flush();
  }

  /** Hands over what has gathered. */
  flush(): void {
    if (this.#lines === '') return;
    this.#send(this.#lines);
    this.#lines = '';
  }
}

function serverName(plan: PoolPlan | null, slot: number): string | null {
  return plan?.config.servers[indexOfSlot(plan, slot)]?.name ?? null;
}

function fieldValue(buffer: Buffer, head: RequestHead, field: Field): string {
  const { lines } = head;
  const index = lines.indexOf(field);
  if (index < 0) return '';
  const begin = lines.valueBegin[index] as number;
  return buffer.toString('latin1', begin, Math.min(lines.valueEnd[index] as number, begin + HOST_CHARS_MAX));
}

/** The trace id of a W3C traceparent; empty when it is none. */
function traceId(traceparent: string): string {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/.exec(traceparent)?.[1] ?? '';
}

function quote(text: string | null): string {
  return JSON.stringify(text);
}

/** Milliseconds to the microsecond. */
function ms(value: number): number {
  return Math.round(value * 1000) / 1000;
}
