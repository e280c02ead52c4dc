// The server's side of an ordinary request through http-proxy's `web`. http-proxy makes the request and emits its events;
// bodies go through the exchange, because http-proxy alone would read the request's before there is a connection, leave a
// truncated response open, and join or drop header lines.

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { Stream } from 'node:stream';
import type { PartOwner, ServerStreamUser, Trailers } from '../exchange/streams.ts';
import { pairsOf } from './lines.ts';
import type { NodeClient } from './node-client.ts';
import { NodeServer, type ServerServices } from './node-server.ts';
import type { ServerAgent } from './server-agent.ts';

/** Stands in for the request where http-proxy pipes it: the exchange writes, once there is a connection. */
class NothingToPipe extends Stream {
  override pipe<T extends NodeJS.WritableStream>(destination: T): T {
    return destination;
  }
}

const NOTHING_TO_PIPE = new NothingToPipe();

export class WebServer extends NodeServer {
  readonly #response: ServerResponse;
  #headText = '';
  /** A listener of 'proxyReq' has written a body of its own. */
  #isWrittenElsewhere = false;

  constructor(
    services: ServerServices,
    agent: ServerAgent,
    client: NodeClient,
    response: ServerResponse,
    user: ServerStreamUser,
  ) {
    super(services, agent, client, user);
    this.#response = response;
  }

  open(headText: string): void {
    const { client, agent } = this;
    this.#headText = headText;
    withHeaders(client.request, {}, () => {
      this.services.proxy.web(
        client.request,
        this.#response,
        { target: agent.target, agent, buffer: NOTHING_TO_PIPE, selfHandleResponse: true, toProxy: true },
        client.guard.safe((error: Error) => this.failed(error)),
      );
    });
  }

  onProxyReq(outgoing: ClientRequest): void {
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

  endRequest(trailers: Trailers): void {
    const { outgoing } = this;
    if (outgoing === null) return;
    if (trailers.length > 0) outgoing.addTrailers(pairsOf(trailers));
    outgoing.end();
  }

  onProxyRes(incoming: IncomingMessage): void {
    this.answered(incoming);
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

/** What http-proxy may be shown: it copies the fields of a request, synchronously, and trips over some of them. */
export function withHeaders(
  request: IncomingMessage,
  headers: Record<string, string>,
  task: () => void,
): void {
  const original = request.headers;
  request.headers = headers;
  try {
    task();
  } finally {
    request.headers = original;
  }
}
