// A WebSocket through http-proxy's `ws`, which makes the request. The listeners that http-proxy puts on it are replaced:
// its error listener would close the client's connection before another server could be tried, and it writes heads to
// the client from objects and in UTF-8, which changes some of them.

import type { ClientRequest, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import { Exchange } from './exchange.ts';
import { withHeaders } from './forwarding.ts';
import { ignoreErrors } from './guard.ts';
import { setLines } from './lines.ts';
import type { ParsedRequest } from './parsed.ts';
import { replyOn } from './replies.ts';
import type { ServerAgent, Target } from './server-agent.ts';
import { HALF_CLOSED_MS, joinTunnel, limitSilence } from './tunnel.ts';

const SWITCHING_PROTOCOLS = 101;
const NOTHING = Buffer.alloc(0);

export class UpgradeExchange extends Exchange {
  readonly #client: Duplex;
  #outgoing: ClientRequest | null = null;
  #server: Duplex | null = null;
  #isAnswering = false;

  constructor(parsed: ParsedRequest, client: Duplex, early: Buffer) {
    super(parsed, true);
    this.#client = client;
    // they belong to the tunnel
    if (early.length > 0) client.unshift(early);
    ignoreErrors(client);
    this.guard.on(client, 'close', () => this.onClientClose());
  }

  protected get isReplayable(): boolean {
    return true;
  }

  protected get isAnswering(): boolean {
    return this.#isAnswering;
  }

  get isReceiving(): boolean {
    return false;
  }

  get isTunnel(): boolean {
    return this.#server !== null;
  }

  protected get isReused(): boolean {
    return this.#outgoing?.reusedSocket === true;
  }

  protected get bytes(): { readonly request: number; readonly response: number } {
    const server = this.#server;
    if (!(server instanceof Socket)) return { request: 0, response: 0 };
    return { request: server.bytesWritten, response: server.bytesRead };
  }

  protected send(target: Target, agent: ServerAgent): void {
    const { request } = this;
    this.#outgoing = null;
    withHeaders(request, { upgrade: 'websocket' }, () => {
      this.path.proxy.ws(request, this.#client, NOTHING, { target, agent, toProxy: true }, () => undefined);
    });
    if (this.#outgoing !== null) this.#takeOver(this.#outgoing);
  }

  override onProxyReqWs(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    outgoing.path = this.head.target;
    setLines(outgoing, this.head.lines);
  }

  #takeOver(outgoing: ClientRequest): void {
    const { attempt, guard } = this;
    const isStale = (): boolean => this.isOver || attempt !== this.attempt;
    for (const event of ['upgrade', 'response', 'error']) outgoing.removeAllListeners(event);
    guard.on(outgoing, 'error', (error: Error) => {
      if (!isStale()) this.attemptFailed(this.kindOf(error), error);
    });
    guard.on(outgoing, 'socket', (socket: Socket) => {
      if (socket.connecting) guard.once(socket, 'connect', () => this.#onConnected(outgoing));
      else this.#onConnected(outgoing);
    });
    guard.on(outgoing, 'information', () => {
      if (!isStale()) this.onInterim();
    });
    guard.on(outgoing, 'close', () => {
      if (!isStale() && !this.#isAnswering) this.attemptFailed('bad-response', null);
    });
    guard.on(outgoing, 'response', (incoming: IncomingMessage) => {
      ignoreErrors(incoming);
      if (isStale()) incoming.destroy();
      else this.#onRefused(incoming);
    });
    guard.on(outgoing, 'upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      ignoreErrors(socket);
      if (isStale()) socket.destroy();
      else this.#onUpgrade(incoming, socket, head);
    });
  }

  #onConnected(outgoing: ClientRequest): void {
    if (this.isOver || outgoing !== this.#outgoing) return;
    this.connected();
    this.awaitAnswer();
  }

  #onUpgrade(incoming: IncomingMessage, server: Duplex, head: Buffer): void {
    const protocol = incoming.headers.upgrade ?? '';
    const isTaken = incoming.statusCode === SWITCHING_PROTOCOLS && protocol.toLowerCase() === 'websocket';
    const answer = isTaken ? this.answer(incoming, false, true, `upgrade\r\nupgrade: ${protocol}`) : null;
    if (answer === null) {
      server.destroy();
      this.attemptFailed('bad-response', null);
      return;
    }
    const { proxy, listen } = this.path;
    this.#isAnswering = true;
    this.#server = server;
    this.guard.on(server, 'close', () => this.end(Math.floor(this.status / 100)));
    this.guard.on(server, 'end', () => proxy.emit('close', incoming, server, head));
    this.#client.write(answer.text, 'latin1');
    if (head.length > 0) server.unshift(head);
    joinTunnel(this.guard, this.#client, server, listen.timeouts.tunnelMs);
    proxy.emit('open', server);
  }

  /** The server does not want to switch: its answer goes to the client, and the connection ends. */
  #onRefused(incoming: IncomingMessage): void {
    const client = this.#client;
    const { statusCode = 0 } = incoming;
    if (this.retryStatus(statusCode)) return;
    const answer = statusCode < 200 ? null : this.answer(incoming, false, false, 'close');
    if (answer === null) {
      this.attemptFailed('bad-response', null);
      return;
    }
    this.#isAnswering = true;
    client.write(answer.text, 'latin1');
    this.guard.on(incoming, 'close', () => {
      if (this.isOver) return;
      if (!incoming.complete) this.truncated(null);
      else this.end(Math.floor(this.status / 100));
    });
    incoming.pipe(client);
    limitSilence(this.guard, client, HALF_CLOSED_MS, () => client.destroy());
  }

  protected abandon(): void {
    this.attempt += 1;
    this.#server?.destroy();
    // its error listener, ours, knows by the number of the attempt that nobody waits any more
    this.#outgoing?.destroy();
    this.#outgoing = null;
  }

  protected tell(kind: FailureKind, isBroken: boolean, error: Error | null): void {
    if (isBroken) {
      this.cutClient();
      return;
    }
    this.path.report(error ?? new Error(FAILURES[kind].text), this.request, this.#client);
    replyOn(this.#client, kind);
  }

  protected cutClient(): void {
    this.#client.destroy();
  }

  protected onClientClose(): void {
    if (this.#server === null) this.abort();
  }
}
