// Ending an HTTP server so that no client loses an answer: responses under way say `connection: close`, nothing new
// is accepted, idle connections go at once.
import type { Server, ServerResponse } from 'node:http';

/** Watches a server from its start; `close` resolves when the last answer has left. */
export class GracefulServer {
  readonly #server: Server;
  readonly #answering = new Set<ServerResponse>();
  #closing = false;

  constructor(server: Server) {
    this.#server = server;
    server.prependListener('request', (_request, response) => {
      if (this.#closing) response.setHeader('connection', 'close');
      this.#answering.add(response);
      response.once('close', () => {
        this.#answering.delete(response);
        // A response whose head had left before `closing` kept its connection alive.
        if (this.#closing) setImmediate(() => server.closeIdleConnections());
      });
    });
  }

  /** From now on every response asks its client to come back on a new connection. */
  announceClose(): void {
    this.#closing = true;
    for (const response of this.#answering) {
      if (!response.headersSent) response.setHeader('connection', 'close');
    }
  }

  close(): Promise<void> {
    this.announceClose();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
