// The server's side of a WebSocket through http-proxy's `ws`, which makes the request. The listeners that http-proxy puts
// on it are replaced: its error listener would close the client's connection before another server could be tried, and it
// writes heads to the client from objects and in UTF-8, which changes some of them.

import type { ClientRequest, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PartOwner } from '../exchange/streams.ts';
import { errorOf, ignoreErrors } from './guard.ts';
import { NodeServer } from './node-server.ts';
import { endPolitely } from './replies.ts';

export class UpgradeServer extends NodeServer {
  #headText = '';
  #isOpening = false;
  #thrown: Error | null = null;
  #tunnel: Duplex | null = null;

  open(headText: string): void {
    this.#headText = headText;
    // http-proxy wants to see an offer, and has ended the request before it returns
    this.#isOpening = true;
    this.forward('ws', { upgrade: 'websocket' });
    this.#isOpening = false;
    if (this.#thrown !== null) throw this.#thrown;
    if (this.outgoing !== null) this.#takeOver(this.outgoing);
  }

  protected onRequest(outgoing: ClientRequest): void {
    this.outgoing = outgoing;
    try {
      this.setHead(outgoing, this.#headText);
    } catch (error) {
      this.listenerThrew(error);
    }
  }

  /** Whoever begins the attempt hears of it, and not http-proxy, which calls in the middle of that. */
  override listenerThrew(cause: unknown): void {
    if (this.#isOpening) this.#thrown = errorOf(cause);
    else super.listenerThrew(cause);
  }

  #takeOver(outgoing: ClientRequest): void {
    const { guard } = this.client;
    for (const event of ['upgrade', 'response', 'error']) outgoing.removeAllListeners(event);
    this.listen(outgoing);
    guard.on(outgoing, 'error', (error: Error) => this.failed(error));
    guard.on(outgoing, 'socket', (socket: Socket) => {
      if (this.isOn(outgoing)) this.awaitConnection(outgoing, socket);
    });
    guard.on(outgoing, 'response', (incoming: IncomingMessage) => this.answered(incoming));
    guard.on(outgoing, 'upgrade', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      ignoreErrors(socket);
      if (!this.isOn(outgoing)) socket.destroy();
      else this.#onUpgrade(incoming, socket, head);
    });
  }

  #onUpgrade(incoming: IncomingMessage, server: Duplex, head: Buffer): void {
    const { user } = this;
    this.#tunnel = server;
    const answer = user === null ? null : this.answerOf(incoming, user);
    if (user === null || answer === null) return;
    const protocol = incoming.headers.upgrade ?? '';
    if (!answer.head.isUpgrade || protocol.toLowerCase() !== 'websocket') {
      this.refuse('101 that does not agree to the upgrade that was asked for');
      return;
    }
    this.source = server;
    server.allowHalfOpen = true;
    if (server instanceof Socket) server.setKeepAlive(true);
    user.onAnswer(answer);
    if (head.length > 0) this.user?.onResponsePart(head);
    this.#read(incoming, server, head);
    this.services.events.tell(this.client, 'open', server);
  }

  #read(incoming: IncomingMessage, server: Duplex, head: Buffer): void {
    const { guard } = this.client;
    guard.on(server, 'data', (chunk: Buffer) => this.user?.onResponsePart(chunk));
    guard.on(server, 'end', () => {
      this.services.events.tell(this.client, 'close', incoming, server, head);
      this.user?.onTunnelHalfClosed();
    });
    guard.on(server, 'close', () => this.closed());
  }

  /** node:http sends the head by itself, and there is no body. */
  send(): boolean {
    return true;
  }

  endRequest(): void {}

  writeBody(part: Buffer, from: PartOwner): boolean {
    const tunnel = this.#tunnel;
    if (tunnel === null || from.writeTo(tunnel, part)) return true;
    this.client.guard.once(tunnel, 'drain', () => this.user?.onServerDrain());
    return false;
  }

  release(isRequestDone: boolean): void {
    if (!isRequestDone) this.destroy();
    this.user = null;
  }

  endTunnelHalf(): void {
    this.#tunnel?.end();
  }

  finish(): void {
    this.user = null;
    if (this.#tunnel !== null) endPolitely(this.#tunnel);
  }

  override destroy(): void {
    super.destroy();
    this.#tunnel?.destroy();
  }
}
