// Requests and upgrades as the application's server hands them over: where each goes.
//
//   request   no route matches -> the application's next handler, or 404
//   upgrade   no route matches -> the server's other listeners, or 404
//             a WebSocket      -> UpgradeClient
//   all else  refused -> our own reply;  admitted -> WebClient

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { countRefusal } from '../exchange/accounts.ts';
import { admit, refused } from '../exchange/admission.ts';
import { requestRefusal } from '../exchange/refusals.ts';
import { plainContent } from '../exchange/reply-content.ts';
import { asksForWebSocket } from '../exchange/request-lines.ts';
import { turnAway } from '../exchange/turn-away.ts';
import { Body, RequestHead } from '../http1/message.ts';
import type { Client } from './clients.ts';
import type { DataPath } from './data-path.ts';
import { isLeftToOthers, responseTo } from './declined-upgrade.ts';
import { errorOf, ignoreErrors } from './guard.ts';
import type { RequestReading } from './heads.ts';
import { NodeBody } from './node-body.ts';
import { breakOff, type NodeRequest, type NodeResponse } from './node-messages.ts';
import { bodyReadBefore } from './read-body.ts';
import { replyOn, replyTo } from './replies.ts';
import { UpgradeClient } from './upgrade-client.ts';
import { WebClient } from './web-client.ts';

/** Requests of one connection that are under way at once; more than that nobody pipelines. */
const PIPELINED_MAX = 16;
/** The same in HTTP/2, whose servers say themselves how many they take (maxConcurrentStreams). */
const STREAMS_MAX = 1000;

/** Stands for a head that could not be read. */
const NO_HEAD = new RequestHead();

const AS_REQUEST: RequestReading = { upgrade: false, bodyBytes: -1 };
const AS_UPGRADE: RequestReading = { upgrade: true, bodyBytes: -1 };

/** Why a request goes nowhere. */
interface Refused {
  readonly kind: FailureKind;
  readonly detail: string;
  readonly plan: PoolPlan | null;
  readonly isParsed: boolean;
  readonly retryAfterSeconds: number;
}

/** Passes a request on to the application; with an error, to its error handlers. */
export type Next = (error?: unknown) => void;

export class Intake {
  readonly #path: DataPath;

  constructor(path: DataPath) {
    this.#path = path;
  }

  handle(request: NodeRequest, response: NodeResponse, next?: Next): void {
    // node:http has queued its 100 (Continue) and would put our head before it: not before it is its turn
    if (response.socket === null && 'expect' in request.headers) {
      response.once('socket', () => process.nextTick(() => this.handle(request, response, next)));
      return;
    }
    const isNext = this.#begin(request, response, next !== undefined);
    if (isNext === true) next?.();
    else if (isNext !== false) next?.(isNext);
  }

  /** True, or an error: it goes to the application's next handler. Throws nothing, whatever the request. */
  #begin(request: NodeRequest, response: NodeResponse, hasNext: boolean): boolean | Error {
    const path = this.#path;
    ignoreErrors(request);
    ignoreErrors(response);
    try {
      const client = path.client(request);
      const found = this.#find(request, client, AS_REQUEST);
      if ('kind' in found) {
        if (found.kind === 'no-route' && hasNext) return true;
        this.#refuse(found, request, client, response);
        return false;
      }
      if (!request.readableEnded || path.heads.request.body === Body.none) {
        this.#beginWeb(request, response, client, found, null);
        return false;
      }
      const read = bodyReadBefore(request);
      if (read !== null) {
        path.heads.parseRequest(request, { upgrade: false, bodyBytes: read.length });
        this.#beginWeb(request, response, client, found, read);
        return false;
      }
      const error = new Error('the request body was read already: mount the balancer before body parsers');
      if (hasNext) return error;
      path.onThrown(error);
      replyTo(response, 'not-implemented', plainContent('not-implemented', ''));
    } catch (error) {
      path.onThrown(errorOf(error));
      response.destroy();
    }
    return false;
  }

  /** `read`: the body, where a parser has read it already. */
  #beginWeb(
    request: NodeRequest,
    response: NodeResponse,
    client: Client,
    plan: PoolPlan,
    read: Buffer | null,
  ): void {
    const body = new NodeBody(this.#path.heads.request);
    const web = new WebClient(this.#path, request, response, client, body);
    web.guard.run(() => web.begin(plan, read));
  }

  /** Answers a request that is not for the balancer, where nobody else does. */
  noRoute(request: NodeRequest, response: NodeResponse): void {
    ignoreErrors(request);
    ignoreErrors(response);
    request.resume();
    countRefusal(this.#path.own, 'no-route', null);
    const { accept = '' } = request.headers;
    replyTo(response, 'no-route', this.#path.ownReply('no-route', '', `accept:${accept}`, '', null));
  }

  /** Leaves an upgrade to the server's other listeners; where there are none it gets a 404. */
  leaveUpgrade(request: IncomingMessage, socket: Duplex): void {
    ignoreErrors(socket);
    const answer = (): void => {
      replyOn(socket, 'no-route');
    };
    if (!isLeftToOthers(request, socket, answer)) answer();
  }

  upgrade(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    ignoreErrors(socket);
    try {
      this.#upgrade(request, socket, early);
    } catch (error) {
      this.#path.onThrown(errorOf(error));
      socket.destroy();
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, early: Buffer): void {
    const path = this.#path;
    const client = path.client(request);
    const found = this.#find(request, client, AS_UPGRADE);
    const isRefused = 'kind' in found;
    if (isRefused && found.kind === 'no-route') {
      const isLeft = isLeftToOthers(request, socket, () => replyOn(socket, 'no-route'));
      if (isLeft) return;
    }
    const { request: head, buffer } = path.heads;
    const isTaken = head.method === 'GET' && head.body === Body.none && asksForWebSocket(buffer, head);
    // an answer of an earlier request is on its way there: ours would come first
    if (client.exchanges.size > 0) socket.destroy();
    else if (isRefused) this.#refuse(found, request, client, responseTo(request));
    else if (isTaken) {
      const upgrade = new UpgradeClient(path, request, socket, early, client, new NodeBody(head));
      upgrade.guard.run(() => upgrade.begin(found));
    } else {
      // the same request without the offer, which nobody has looked at yet
      path.heads.parseRequest(request, AS_REQUEST);
      this.#beginWeb(request, responseTo(request), client, found, null);
    }
  }

  /** Parses and routes the request: the pool it goes to, or why it goes nowhere. */
  #find(request: NodeRequest, client: Client, reading: RequestReading): PoolPlan | Refused {
    const path = this.#path;
    const { heads, listen } = path;
    const headBytes = heads.parseRequest(request, reading);
    if (headBytes < 0)
      return { ...requestRefusal(headBytes), plan: null, isParsed: false, retryAfterSeconds: 1 };
    const nowMs = path.clock.turn();
    const plan = admit(path, heads.buffer, heads.request, client, listen.address, nowMs);
    const kind = plan === null ? refused.kind : this.#refusal(request, client);
    if (plan !== null && kind === null) return plan;
    const { retryAfterSeconds } = refused;
    return {
      kind: kind ?? 'no-route',
      detail: '',
      plan: plan ?? refused.plan,
      isParsed: true,
      retryAfterSeconds: plan === null ? retryAfterSeconds : 1,
    };
  }

  /** What stands against a request that may go somewhere; null: nothing. */
  #refusal(request: NodeRequest, client: Client): FailureKind | null {
    // a connection that has closed already says so no more
    if (request.socket.destroyed) return 'client-aborted';
    if (client.isSurplus) return 'too-many-connections';
    if (client.exchanges.size >= (request.httpVersion === '2.0' ? STREAMS_MAX : PIPELINED_MAX))
      return 'too-many-requests';
    return this.#path.isStopping ? 'no-server' : null;
  }

  /** Answers, counts and logs a request that does not become an exchange. */
  #refuse(why: Refused, request: NodeRequest, client: Client, response: NodeResponse): void {
    const { heads } = this.#path;
    const { kind, isParsed, retryAfterSeconds } = why;
    const head = isParsed ? heads.request : NO_HEAD;
    request.resume();
    turnAway(this.#path, client, heads.buffer, head, why, (content, requestId) => {
      if (FAILURES[kind].status > 0)
        return replyTo(response, kind, content, { retryAfterSeconds, requestId });
      breakOff(response);
      return 0;
    });
  }
}
