// The client's side of an upgrade: the bare socket that node:http has let go of. A response that does not switch protocols
// is written to it as well, and the connection ends with it.

import type { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FailureKind } from '../base/failure.ts';
import type { PoolPlan } from '../choose/plan.ts';
import type { ReplyContent } from '../exchange/reply-content.ts';
import { ResponseBuffer } from '../exchange/response-buffer.ts';
import type { Answer, PartOwner } from '../exchange/streams.ts';
import { Reframe, responseLines, tunnelLines } from '../proxy/response-lines.ts';
import type { Client } from './clients.ts';
import { ignoreErrors } from './guard.ts';
import type { NodeBody } from './node-body.ts';
import { type ClientServices, NodeClient } from './node-client.ts';
import { endPolitely, replyOn } from './replies.ts';

export class UpgradeClient extends NodeClient {
  readonly isUpgrade = true;
  readonly socket: Duplex;
  readonly #early: Buffer;
  readonly #hold = new ResponseBuffer();
  #isStarted = false;

  /** `early`: what the client has sent behind the head; it belongs to the tunnel. */
  constructor(
    services: ClientServices,
    request: IncomingMessage,
    socket: Duplex,
    early: Buffer,
    connection: Client,
    body: NodeBody,
  ) {
    super(services, request, connection, body);
    this.socket = socket;
    this.#early = early;
    ignoreErrors(socket);
    this.guard.on(socket, 'close', () => this.closed(false));
  }

  override begin(plan: PoolPlan): void {
    if (this.socket instanceof Socket) this.socket.setTimeout(0).setNoDelay(true).setKeepAlive(true);
    super.begin(plan);
  }

  pauseRequest(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  /** Nothing is read before there is a tunnel. */
  resumeRequest(): void {
    this.isPaused = false;
    if (this.isTunnel) this.socket.resume();
  }

  get target(): Duplex {
    return this.socket;
  }

  get isFull(): boolean {
    return this.socket.writableNeedDrain;
  }

  get isHolding(): boolean {
    return !this.#isStarted || this.#hold.isHolding;
  }

  holdResponse(): void {
    this.#hold.begin();
  }

  writeHead({ buffer, head }: Answer, setCookie: string): boolean {
    this.#isStarted = true;
    return this.#writeText(responseLines(buffer, head, Reframe.toClose, setCookie, 'close'));
  }

  writeBody(part: Buffer, from: PartOwner): boolean {
    if (this.#hold.isHolding) return this.#writeText(part.toString('latin1'));
    this.bytes += part.length;
    return this.#flows(from.writeTo(this.socket, part));
  }

  #writeText(text: string): boolean {
    this.bytes += text.length;
    if (this.#hold.isHolding && this.#hold.add(text)) return true;
    const before = this.#hold.release();
    return this.#flows(this.socket.write(before + text, 'latin1'));
  }

  #flows(isFlowing: boolean): boolean {
    if (!isFlowing) this.guard.once(this.socket, 'drain', () => this.exchange?.onClientDrain());
    return isFlowing;
  }

  endResponse(): void {
    if (this.#hold.isHolding) this.socket.write(this.#hold.release(), 'latin1');
  }

  openTunnel({ buffer, head }: Answer, setCookie: string): Buffer | null {
    const { socket, guard } = this;
    this.#isStarted = true;
    this.#writeText(tunnelLines(buffer, head, setCookie));
    guard.on(socket, 'data', (chunk: Buffer) => {
      this.requestBody.bytes += chunk.length;
      this.exchange?.response.tunnel.fromClient(chunk, this);
    });
    guard.on(socket, 'end', () => this.exchange?.response.tunnel.onClientEnd());
    this.requestBody.bytes += this.#early.length;
    return this.#early.length === 0 ? null : this.#early;
  }

  writeTunnel(part: Buffer, from: PartOwner): boolean {
    return this.writeBody(part, from);
  }

  endTunnelHalf(): void {
    this.socket.end();
  }

  protected left(): void {
    endPolitely(this.socket);
  }

  protected cut(): void {
    this.socket.destroy();
  }

  protected writeReply(kind: FailureKind, content: ReplyContent, requestId: string): number {
    return replyOn(this.socket, kind, content, { requestId });
  }
}
