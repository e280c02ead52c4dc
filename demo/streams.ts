// Two long-lived kinds of traffic, so that one can watch a balancer carry them: server-sent events and WebSockets.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RequestHandler } from 'express';
import { WebSocketServer } from 'ws';

const TICK_MS = 1000;
/** Longest message the echo takes. */
const MESSAGE_BYTES_MAX = 65_536;

/** Calls every listener once a second; one timer for all streams. */
export class TickSource {
  readonly #streams = new Set<ServerResponse>();
  readonly #timer = setInterval(() => this.#tick(), TICK_MS).unref();
  readonly #text: () => string;
  #count = 0;

  /** `text` makes the body of one event. */
  constructor(text: (count: number) => string) {
    this.#text = () => text(this.#count);
  }

  add(response: ServerResponse): void {
    this.#streams.add(response);
    response.on('close', () => this.#streams.delete(response));
    response.write(this.#text());
  }

  /** Ends every stream; clients reconnect by themselves, to whichever server the balancer then chooses. */
  end(): void {
    clearInterval(this.#timer);
    for (const response of this.#streams) response.end();
  }

  #tick(): void {
    this.#count += 1;
    const text = this.#text();
    for (const response of this.#streams) {
      // A reader that has stopped reading must not fill memory.
      if (response.writableLength > MESSAGE_BYTES_MAX) response.destroy();
      else response.write(text);
    }
  }
}

/** GET /events: one `tick` a second with the server's name. */
export function eventStream(name: string, ticks: TickSource): RequestHandler {
  return (_request, response) => {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    response.write(`retry: 1000\nevent: hello\ndata: ${JSON.stringify({ server: name })}\n\n`);
    ticks.add(response);
  };
}

/** The text of one tick. */
export function tickText(name: string, count: number): string {
  return `event: tick\ndata: ${JSON.stringify({ server: name, tick: count })}\n\n`;
}

/** WebSocket echo at /ws; the first message names the server. Returns what ends all of them. */
export function attachEcho(server: Server, name: string): () => void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX });
  sockets.on('connection', (socket) => {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.send(JSON.stringify({ server: name }));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    if (request.url?.split('?')[0] !== '/ws') {
      socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) =>
      sockets.emit('connection', webSocket, request),
    );
  });
  return () => {
    for (const socket of sockets.clients) socket.close(1001, 'server stops');
    sockets.close();
  };
}
