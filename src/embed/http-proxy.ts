// http-proxy, by what is used of it here and by what an embedding program hears from it. The package has no types of its own;
// those of DefinitelyTyped would bring two packages and 3 MB into every installation.
//
//   web(stand-ins) ──► http-proxy ── emit(event, stand-ins) ──► the attempt ──► the application's listeners,
//                                                                               with the request and response they know
//
// http-proxy reads and listens to what it is given as request and response, and closes it in its own way. It is given stand-ins.

import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { guardListeners, type Listened } from './guard.ts';
import type { NodeRequest, NodeResponse } from './node-messages.ts';

/** Options of one `web` or `ws`; the events name them. */
export interface HttpProxyOptions {
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

type Listener<E extends keyof HttpProxyEvents> = (...told: HttpProxyEvents[E]) => unknown;

/** http-proxy's server: it forwards when it is told to, and says what happens. */
export interface HttpProxy {
  web(request: unknown, response: unknown, options: HttpProxyOptions): unknown;
  ws(request: unknown, socket: unknown, options: HttpProxyOptions): unknown;
  on<E extends keyof HttpProxyEvents>(event: E, listener: Listener<E>): this;
  once<E extends keyof HttpProxyEvents>(event: E, listener: Listener<E>): this;
  off<E extends keyof HttpProxyEvents>(event: E, listener: Listener<E>): this;
  removeListener<E extends keyof HttpProxyEvents>(event: E, listener: Listener<E>): this;
  removeAllListeners(event?: keyof HttpProxyEvents): this;
  listeners(event: keyof HttpProxyEvents): readonly unknown[];
  emit(event: string, ...told: unknown[]): boolean;
}

/** An attempt on a server, as http-proxy's events see it. */
export interface ForwardedAttempt extends Listened {
  readonly request: NodeRequest;
  /** What the client is answered on. */
  readonly target: NodeResponse | Duplex;
  /** Before the application's listeners; false: they do not hear of it. */
  hear(event: string, subject: unknown): boolean;
}

/** Stands for the response, or for the socket of an upgrade, which nobody but the exchange may touch. */
export const STAND_IN_RESPONSE = {
  headersSent: false,
  finished: false,
  destroyed: true,
  writable: true,
  writableFinished: true,
  ...Object.fromEntries(
    [
      'on',
      'once',
      'prependOnceListener',
      'removeListener',
      'setTimeout',
      'setNoDelay',
      'setKeepAlive',
      'destroy',
      'end',
    ].map((method) => [method, (): object => STAND_IN_RESPONSE]),
  ),
};

/** Stands for the request: there is nothing to pipe, for the exchange writes once there is a connection. */
export class StandInRequest {
  readonly attempt: ForwardedAttempt;
  readonly headers: Record<string, string>;
  readonly url = '/';
  readonly httpVersion = '1.1';
  readonly httpVersionMajor = 1;

  constructor(attempt: ForwardedAttempt, headers: Record<string, string>) {
    this.attempt = attempt;
    this.headers = headers;
  }

  get method(): string {
    return this.attempt.request.method ?? '';
  }

  get socket(): unknown {
    return this.attempt.request.socket;
  }

  on(): this {
    return this;
  }

  pipe<T>(destination: T): T {
    return destination;
  }
}

/** Between http-proxy and the application's listeners. */
export class ProxyEvents {
  readonly proxy: HttpProxy;
  readonly #emit: HttpProxy['emit'];
  /** What the listeners that are running now hear of. */
  #subject: Listened | null = null;

  constructor(proxy: HttpProxy) {
    this.proxy = proxy;
    this.#emit = proxy.emit.bind(proxy);
    proxy.emit = (event, ...told) => this.#onEmit(event, told);
    guardListeners(proxy, () => this.#subject);
  }

  /** Whether the event has listeners of the application. */
  isHeard(event: keyof HttpProxyEvents): boolean {
    // http-proxy itself has one for errors, which throws when it is the only one
    const own = 'onError' in this.proxy ? this.proxy.onError : null;
    return this.proxy.listeners(event).some((listener) => listener !== own);
  }

  /** Tells the application's listeners. */
  tell(subject: Listened, event: keyof HttpProxyEvents, ...told: unknown[]): void {
    const before = this.#subject;
    this.#subject = subject;
    try {
      this.#emit(event, ...told);
    } catch (cause) {
      subject.listenerThrew(cause);
    } finally {
      this.#subject = before;
    }
  }

  #onEmit(event: string, told: unknown[]): boolean {
    for (let at = 0; at < told.length; at += 1) {
      const request = told[at];
      if (!(request instanceof StandInRequest)) continue;
      const { attempt } = request;
      if (!attempt.hear(event, told[0])) return true;
      told[at] = attempt.request;
      told[at + 1] = attempt.target;
      this.tell(attempt, event as keyof HttpProxyEvents, ...told);
      return true;
    }
    // about what the application itself has given to http-proxy
    return this.#emit(event, ...told);
  }
}

/** The application's own, or a new one of the package. Throws where it is none, or has options of its own. */
export function httpProxyOf(given: object | undefined): HttpProxy {
  if (given === undefined) return createHttpProxy();
  if (!isHttpProxy(given))
    throw new TypeError('"httpProxy" is no proxy server of http-proxy, http-proxy-3 or httpxy');
  const options: unknown = 'options' in given ? given.options : {};
  const names = Object.keys(options ?? {}).filter((name) => name !== 'prependPath');
  if (names.length === 0) return given;
  throw new TypeError(
    `"httpProxy" was made with options (${names.join(', ')}): what is forwarded where is the balancer's to say, make it without`,
  );
}

/** http-proxy copies by `util._extend`, whose first call makes Node warn of DEP0060; it is given what is to be used instead. */
function createHttpProxy(): HttpProxy {
  const required = createRequire(import.meta.url);
  const util: { _extend: unknown } = required('node:util');
  const { _extend } = util;
  util._extend = Object.assign;
  try {
    const { createProxyServer }: { createProxyServer(options: object): HttpProxy } = required('http-proxy');
    return createProxyServer({});
  } finally {
    util._extend = _extend;
  }
}

function isHttpProxy(value: object): value is HttpProxy {
  return ['web', 'ws', 'on', 'emit', 'listeners'].every(
    (name) => typeof Reflect.get(value, name) === 'function',
  );
}
