// The server's side of an ordinary request through http-proxy's `web`. http-proxy makes the request and emits its events;
// bodies go through the exchange, because http-proxy alone would read the request's before there is a connection, leave a
// truncated response open, and join or drop header lines.

import type { ClientRequest } from 'node:http';
import type { PartOwner, RequestBody } from '../exchange/streams.ts';
import { pairsOf } from './lines.ts';
import { NodeServer } from './node-server.ts';

export class WebServer extends NodeServer {
  #headText = '';
  /** A listener of 'proxyReq' has written a body of its own. */
  #isWrittenElsewhere = false;

  open(headText: string): void {
    this.#headText = headText;
    this.forward('web', {});
  }

  protected onRequest(outgoing: ClientRequest): void {
    if (this.user === null) {
      outgoing.destroy();
      return;
    }
    this.outgoing = outgoing;
    this.setHead(outgoing, this.#headText);
    this.listen(outgoing);
    this.awaitConnection(outgoing, outgoing.socket);
  }

  send(_headText: string, body: Buffer | null, from: PartOwner): boolean {
    const { outgoing } = this;
    if (outgoing === null) return true;
    this.#isWrittenElsewhere = outgoing.headersSent;
    return body === null || this.writeBody(body, from);
  }

  writeBody(part: Buffer, from: PartOwner): boolean {
    const { outgoing, client } = this;
    if (outgoing === null || this.#isWrittenElsewhere) return true;
    if (from.writeTo(outgoing, part)) return true;
    client.guard.once(outgoing, 'drain', () => this.user?.onServerDrain());
    return false;
  }

  endRequest({ trailers }: RequestBody): void {
    const { outgoing } = this;
    if (outgoing === null) return;
    if (trailers.length > 0) outgoing.addTrailers(pairsOf(trailers));
    outgoing.end();
  }

  /** The agent takes the connection back once both messages are over. */
  release(isRequestDone: boolean): void {
    const { source } = this;
    if (!isRequestDone || source === null || !('complete' in source) || !source.complete) this.destroy();
    this.user = null;
  }

  endTunnelHalf(): void {}

  finish(): void {
    this.destroy();
  }
}
