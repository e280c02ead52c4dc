// A WebSocket through http-proxy's `ws`. The listeners that http-proxy puts on its request are taken over: its error
// listener would close the client's connection before another server could be tried, and a refused upgrade would be
// relayed with framing that does not fit its body.

import type { ClientRequest, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { FAILURES, type FailureKind } from '../base/failure.ts';
import { Exchange, type ParsedRequest, type Target } from './exchange.ts';
import { replyOn } from './replies.ts';
import type { ServerAgent } from './server-agent.ts';

/** How long one side of a tunnel may stay open after the other has closed. */
const HALF_CLOSED_MS = 30_000;
const SWITCHING_PROTOCOLS = 101;
const EMPTY = Buffer.alloc(0);

type UpgradeListener = (incoming: IncomingMessage, socket: Duplex, head: Buffer) => void;

export class UpgradeExchange extends Exchange {
  readonly #client: Duplex;
  #early: Buffer;
  #outgoing: ClientRequest | null = null;
  #server: Duplex | null = null;
  #isAnswering = false;

  constructor(parsed: ParsedRequest, client: Duplex, early: Buffer) {
    super(parsed);
    this.#client = client;
    this.#early = early;
    this.fields['connection'] = 'Upgrade';
    this.fields['upgrade'] = 'websocket';
    client.on('error', () => {
      // 'close' follows and does the work
    });
    client.on('close', () => this.#onClientClose());
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
    const original = request.headers;
    this.#outgoing = null;
    request.headers = { ...this.fields };
    try {
      this.path.proxy.ws(
        request,
        this.#client,
        this.#early,
        { target, agent, toProxy: true },
        () => undefined,
      );
    } finally {
      request.headers = original;
    }
    // given back to the client's socket by now: not again with the next attempt
    this.#early = EMPTY;
    if (this.#outgoing !== null) this.#takeOver(this.#outgoing);
  }

  override onProxyReqWs(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    outgoing.path = this.request.url ?? '/';
  }

  #takeOver(outgoing: ClientRequest): void {
    const { attempt } = this;
    const isStale = (): boolean => this.isOver || attempt !== this.attempt;
    const relays = outgoing.listeners('upgrade') as UpgradeListener[];
    for (const event of ['upgrade', 'response', 'error']) outgoing.removeAllListeners(event);
    outgoing.on('error', (error) => {
      if (!isStale()) this.attemptFailed(this.kindOf(error), error);
    });
    outgoing.on('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => this.#onConnected(outgoing));
      else this.#onConnected(outgoing);
    });
    outgoing.on('response', (incoming) => {
      if (isStale()) incoming.destroy();
      else this.#onRefused(incoming);
    });
    outgoing.on('upgrade', (incoming, socket, head) => {
      if (isStale()) socket.destroy();
      else this.#onUpgrade(incoming, socket, head, relays);
    });
  }

  #onConnected(outgoing: ClientRequest): void {
    if (this.isOver || outgoing !== this.#outgoing) return;
    this.connected();
    outgoing.setTimeout(this.plan.config.timeouts.responseMs, () => {
      if (!this.isOver && !this.#isAnswering && outgoing === this.#outgoing)
        this.attemptFailed('response-timeout', null);
    });
  }

  #onUpgrade(
    incoming: IncomingMessage,
    server: Duplex,
    head: Buffer,
    relays: readonly UpgradeListener[],
  ): void {
    const answer = this.answer(incoming, false);
    const protocol = incoming.headers.upgrade?.toLowerCase();
    if (answer === null || incoming.statusCode !== SWITCHING_PROTOCOLS || protocol !== 'websocket') {
      server.destroy();
      this.attemptFailed('bad-response', null);
      return;
    }
    this.#isAnswering = true;
    this.#server = server;
    // http-proxy writes these fields to the client
    if (answer.cookie !== '') {
      incoming.headers['set-cookie'] = [...(incoming.headers['set-cookie'] ?? []), answer.cookie];
    }
    server.on('close', () => this.#onServerClose());
    for (const relay of relays) relay(incoming, server, head);
    this.#limitSilence(server, this.#client);
  }

  /** After http-proxy, which switches off all time limits. */
  #limitSilence(server: Duplex, client: Duplex): void {
    const { tunnelMs } = this.path.listen.timeouts;
    limitSilence(server, tunnelMs, () => {
      server.destroy();
      client.destroy();
    });
    server.on('end', () => limitSilence(client, HALF_CLOSED_MS, () => client.destroy()));
    client.on('end', () => limitSilence(server, HALF_CLOSED_MS, () => server.destroy()));
  }

  /** The server does not want to switch: its answer goes to the client, and the connection ends. */
  #onRefused(incoming: IncomingMessage): void {
    const client = this.#client;
    incoming.on('error', () => {
      // 'close' follows and does the work
    });
    if (this.retryStatus(incoming.statusCode ?? 0)) return;
    const answer = this.answer(incoming, false);
    if (answer === null) {
      this.attemptFailed('bad-response', null);
      return;
    }
    this.#isAnswering = true;
    const lines = [...answer.lines, ['connection', 'close']]
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    client.write(`HTTP/1.1 ${incoming.statusCode} ${incoming.statusMessage ?? ''}\r\n${lines}\r\n`, 'latin1');
    incoming.on('close', () => {
      if (this.isOver) return;
      if (!incoming.complete) this.truncated(null);
      else this.end(Math.floor(this.status / 100));
    });
    incoming.pipe(client);
    limitSilence(client, HALF_CLOSED_MS, () => client.destroy());
  }

  protected abandon(): void {
    this.attempt += 1;
    this.#server?.destroy();
    // its error listener, ours, knows by the number of the attempt that nobody waits any more
    if (this.#outgoing !== null && !this.#isAnswering) this.#outgoing.destroy();
  }

  protected tell(kind: FailureKind, isBroken: boolean, error: Error | null): void {
    if (isBroken) {
      this.#client.destroy();
      return;
    }
    this.path.report(error ?? new Error(FAILURES[kind].text), this.request, this.#client);
    replyOn(this.#client, kind);
  }

  #onServerClose(): void {
    const client = this.#client;
    // a clean end has been passed on by the pipe; anything else must not leave the client waiting
    if (!client.writableEnded) client.destroy();
    this.end(Math.floor(this.status / 100));
  }

  #onClientClose(): void {
    const server = this.#server;
    if (server === null) this.abort();
    else if (!server.destroyed) server.destroy();
  }
}

/** net.Socket and tls.TLSSocket have a time limit; another Duplex has none. */
function limitSilence(stream: Duplex, ms: number, onSilence: () => void): void {
  if (stream instanceof Socket) stream.setTimeout(ms, onSilence);
}
