// One active check of one server: an HTTP request through undici, or a TCP connect. Real sockets, real time: but that in
// which this thread stood still is not the server's.

import { connect, type Socket } from 'node:net';
import { Client } from 'undici';
import { isOwnTrouble } from '../base/own-trouble.ts';
import { formatProxyHeader } from '../base/proxy-protocol.ts';
import { runningScheduler } from '../base/scheduler.ts';
import { TlsClient } from '../base/tls-client.ts';
import { tlsFailure } from '../base/tls-failure.ts';
import { placeOf } from '../config/address.ts';
import type { HealthConfig, PoolConfig, ServerConfig } from '../config/model.ts';
import { readSelfReport, type SelfReport } from './self-report.ts';
import type { CheckResult } from './verdict.ts';

export interface ProbeOutcome {
  readonly result: CheckResult;
  /** The connection was actively refused: nothing listens there, which no second look will change. */
  readonly isRefused: boolean;
  /** The check could not be made for want of something of ours, and says nothing about the server. */
  readonly isOwnTrouble?: boolean;
  /** The server has answered, if only to say that it is not well. */
  readonly isReached?: boolean;
  /** What came, as text: `status 503`, `connection refused`. */
  readonly detail: string;
  /** What the server says of itself; absent when no HTTP reply came. */
  readonly report?: SelfReport;
}

/** Checks one server again and again; `close` ends whatever is under way. */
export interface Probe {
  check(): Promise<ProbeOutcome>;
  close(): void;
}

/** How a pool's servers are connected to. */
export type Road = Pick<PoolConfig, 'protocol' | 'sendProxyProtocol' | 'secure'>;

export type ProbeFactory = (server: ServerConfig, health: HealthConfig, road: Road) => Probe;

/** A health body is read to its end, so that the server sees a complete exchange, but no further than this. */
const BODY_BYTES_MAX = 65_536;

/** The probe that the configuration asks for: HTTP when there is a path, a TCP connect otherwise. */
export const createProbe: ProbeFactory = (server, health, road) =>
  health.path === null
    ? new TcpProbe(server, health, road)
    : new HttpProbe(server, health, road, health.path);

/** A request on a fresh connection each time: a kept one would not notice that nobody listens any more. */
class HttpProbe implements Probe {
  readonly #server: ServerConfig;
  readonly #health: HealthConfig;
  readonly #road: Road;
  readonly #path: string;
  #client: Client | null = null;
  #socket: Socket | null = null;

  constructor(server: ServerConfig, health: HealthConfig, road: Road, path: string) {
    this.#server = server;
    this.#health = health;
    this.#road = road;
    this.#path = path;
  }

  async check(): Promise<ProbeOutcome> {
    const client = this.#client ?? this.#open();
    const abort = new AbortController();
    const timer = runningScheduler.after(this.#health.timeoutMs, () => abort.abort());
    try {
      const { method, host, headers, body: wanted } = this.#health;
      const own = { 'user-agent': 'holdfast-health', accept: '*/*', ...(host === null ? {} : { host }) };
      const response = await client.request({
        method,
        path: this.#path,
        headers: { ...own, ...headers },
        signal: abort.signal,
      });
      const report = readSelfReport(response.headers);
      const outcome = { ...judgeStatus(response.statusCode, this.#health.status), report };
      if (wanted !== null && outcome.result === 'success') {
        const hasIt = (await firstText(response.body)).includes(wanted);
        this.close();
        return hasIt
          ? outcome
          : { ...outcome, result: 'failure', detail: `no ${JSON.stringify(wanted)} in the body` };
      }
      // The head decides; a body that breaks off or does not end changes nothing.
      await response.body.dump({ limit: BODY_BYTES_MAX, signal: abort.signal }).catch(() => this.close());
      return outcome;
    } catch (error) {
      this.close();
      if (abort.signal.aborted) return timedOut(this.#health.timeoutMs);
      return failed(error);
    } finally {
      timer.cancel();
      // in HTTP/2 it would be kept
      if (this.#road.protocol !== 'h1') this.close();
    }
  }

  close(): void {
    const client = this.#client;
    this.#client = null;
    client?.destroy().catch(() => undefined);
    // one that is not connected yet is not the client's
    this.#socket?.destroy();
    this.#socket = null;
  }

  #open(): Client {
    // the check has one time-out for all, and its own
    const options = {
      pipelining: 0,
      connectTimeout: 0,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: 32_768,
    };
    const client = new Client(urlOf(this.#server, this.#health), {
      ...options,
      connect: (_, callback) => {
        const socket = open(this.#server, this.#health, this.#road);
        this.#socket = socket;
        const onError = (error: Error): void => callback(error, null);
        socket.once('error', onError);
        socket.once(this.#server.isTls ? 'secureConnect' : 'connect', () => {
          socket.off('error', onError);
          callback(null, socket);
        });
      },
    });
    this.#client = client;
    return client;
  }
}

class TcpProbe implements Probe {
  readonly #server: ServerConfig;
  readonly #health: HealthConfig;
  readonly #road: Road;
  #end: (() => void) | null = null;

  constructor(server: ServerConfig, health: HealthConfig, road: Road) {
    this.#server = server;
    this.#health = health;
    this.#road = road;
  }

  check(): Promise<ProbeOutcome> {
    const { timeoutMs } = this.#health;
    return new Promise((resolve) => {
      const socket = open(this.#server, this.#health, this.#road);
      socket.once('error', (error) => finish(failed(error)));
      const { isTls } = this.#server;
      const detail = isTls ? 'connected over TLS' : 'connected';
      socket.once(isTls ? 'secureConnect' : 'connect', () =>
        finish({ result: 'success', isRefused: false, detail }),
      );
      const timer = runningScheduler.after(timeoutMs, () => finish(timedOut(timeoutMs)));
      const finish = (outcome: ProbeOutcome): void => {
        timer.cancel();
        this.#end = null;
        socket.on('error', () => undefined);
        socket.destroy();
        resolve(outcome);
      };
      this.#end = () => finish({ result: 'failure', isRefused: false, detail: 'check was ended' });
    });
  }

  close(): void {
    this.#end?.();
  }
}

/** Offered by ALPN. */
const PROTOCOLS: Readonly<Record<Road['protocol'], readonly string[]>> = {
  h1: ['http/1.1'],
  h2: ['h2'],
  auto: ['h2', 'http/1.1'],
};

/** A connection like those of requests, but for our own. Header first: it is written before anything else can be. */
function open(server: ServerConfig, { port }: HealthConfig, road: Road): Socket {
  const { protocol, sendProxyProtocol, secure } = road;
  const place = placeOf(port === null ? server : { ...server, port });
  const before = sendProxyProtocol === 'off' ? null : formatProxyHeader(sendProxyProtocol, null);
  // a whole handshake each time: a session that is resumed says nothing of the certificate
  if (server.isTls)
    return new TlsClient(secure, server.host, false, PROTOCOLS[protocol]).connect(place, before, null);
  const socket = connect(place);
  // what undici looks at to know what is spoken
  if (protocol === 'h2') Object.assign(socket, { alpnProtocol: 'h2' });
  if (before !== null) socket.write(before, 'latin1');
  return socket;
}

/** Scheme, host and port. A path of the server's URL is not put before that of checks. */
function urlOf({ url, socketPath }: ServerConfig, { port }: HealthConfig): string {
  if (socketPath !== null) return 'http://localhost';
  const whole = new URL(url);
  if (port !== null) whole.port = String(port);
  return whole.origin;
}

/** The beginning of a body, as far as it is looked at. */
async function firstText(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    parts.push(part.subarray(0, BODY_BYTES_MAX - bytes));
    bytes += part.length;
    if (bytes >= BODY_BYTES_MAX) break;
  }
  return Buffer.concat(parts).toString('utf8');
}

function judgeStatus(status: number, accepted: HealthConfig['status']): ProbeOutcome {
  const isGood = accepted.some(([from, to]) => status >= from && status <= to);
  return {
    result: isGood ? 'success' : 'failure',
    isRefused: false,
    isReached: true,
    detail: `status ${status}`,
  };
}

function timedOut(timeoutMs: number): ProbeOutcome {
  return { result: 'timeout', isRefused: false, detail: `no answer within ${timeoutMs} ms` };
}

/** What people call it; the address stands beside it wherever this is shown. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOTFOUND: 'name not found',
};

function failed(error: unknown): ProbeOutcome {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const said = error instanceof Error && error.message !== '' ? error.message : code || String(error);
  const detail = tlsFailure(error) ?? WORDS[code] ?? said;
  return {
    result: 'failure',
    isRefused: code === 'ECONNREFUSED',
    isOwnTrouble: isOwnTrouble(error),
    detail,
  };
}
