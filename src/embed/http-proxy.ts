// http-proxy, by what is used of it here and by what an embedding program hears from it. The package has no types of its own;
// those of DefinitelyTyped would bring two packages and 3 MB into every installation.

import { type Agent, type ClientRequest, IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Duplex, Stream } from 'node:stream';
import { catchListeners } from './guard.ts';

/** Options of one `web` or `ws`; the events name them. */
export interface HttpProxyOptions {
  readonly target?: unknown;
  readonly agent?: Agent | false;
  /** What is sent as the body of the request, in place of the request itself. */
  readonly buffer?: Stream;
  readonly selfHandleResponse?: boolean;
  readonly toProxy?: boolean;
  readonly [option: string]: unknown;
}

/** The arguments of each event, as http-proxy's manual has them. */
export interface HttpProxyEvents {
  start: [request: IncomingMessage, response: ServerResponse | Duplex, target: unknown];
  proxyReq: [outgoing: ClientRequest, request: IncomingMessage, response: ServerResponse, HttpProxyOptions];
  proxyReqWs: [ClientRequest, request: IncomingMessage, socket: Socket, HttpProxyOptions, head: Buffer];
  proxyRes: [incoming: IncomingMessage, request: IncomingMessage, response: ServerResponse];
  end: [request: IncomingMessage, response: ServerResponse, incoming: IncomingMessage];
  open: [socket: Duplex];
  close: [response: IncomingMessage, socket: Duplex, head: Buffer];
  econnreset: [error: Error, request: IncomingMessage, response: ServerResponse, target: unknown];
  error: [error: Error, request: IncomingMessage, response: ServerResponse | Duplex, target?: unknown];
}

type Listener<E extends keyof HttpProxyEvents> = (...told: HttpProxyEvents[E]) => void;
type OnError = (error: Error, request: IncomingMessage, response: ServerResponse | Duplex) => void;

/** http-proxy's server: it forwards when it is told to, and says what happens. */
export interface HttpProxy {
  web(request: IncomingMessage, response: ServerResponse, options: HttpProxyOptions, onError?: OnError): void;
  ws(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    options: HttpProxyOptions,
    onError?: OnError,
  ): void;
  on<E extends keyof HttpProxyEvents>(event: E, listener: Listener<E>): this;
  once<E extends keyof HttpProxyEvents>(event: E, listener: Listener<E>): this;
  off<E extends keyof HttpProxyEvents>(event: E, listener: Listener<E>): this;
  removeListener<E extends keyof HttpProxyEvents>(event: E, listener: Listener<E>): this;
  removeAllListeners(event?: keyof HttpProxyEvents): this;
  listeners<E extends keyof HttpProxyEvents>(event: E): readonly Listener<E>[];
  emit<E extends keyof HttpProxyEvents>(event: E, ...told: HttpProxyEvents[E]): boolean;
}

interface Module {
  createProxyServer(options: HttpProxyOptions): HttpProxy;
}

/** Events that http-proxy emits where nobody catches what a listener throws: which argument is the request. */
const REQUEST_AT: ReadonlyMap<string | symbol, 0 | 1> = new Map([
  ['proxyReq', 1],
  ['proxyRes', 1],
  ['end', 0],
  ['econnreset', 1],
]);

/** `onThrown` hears of what the listeners of these events throw, and may throw it on. */
export function createHttpProxy(onThrown: (cause: unknown, request: IncomingMessage) => void): HttpProxy {
  const { createProxyServer }: Module = createRequire(import.meta.url)('http-proxy');
  const proxy = createProxyServer({});
  catchListeners(proxy, (cause, event, told) => {
    const request = told[REQUEST_AT.get(event) ?? -1];
    if (!(request instanceof IncomingMessage)) throw cause;
    onThrown(cause, request);
  });
  return proxy;
}
