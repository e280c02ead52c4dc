// One active check of one server: an HTTP request through undici, a call of gRPC, or a TCP connect. Real sockets, real time: but that in
// which this thread stood still is not the server's.

import type { Socket } from 'node:net';
import type { Client } from 'undici';
import { undici } from '../base/late-undici.ts';
import { runningScheduler } from '../base/scheduler.ts';
import { authorityOf } from '../config/address.ts';
import type { HealthConfig, ServerConfig } from '../config/model.ts';
import { GrpcProbe } from './grpc-probe.ts';
import { failed, type ProbeOutcome, timedOut } from './probe-outcome.ts';
import { openRoad, type Road } from './road.ts';
import { readSelfReport } from './self-report.ts';

/** Checks one server again and again; `close` ends whatever is under way. */
export interface Probe {
  check(): Promise<ProbeOutcome>;
  close(): void;
}

export type ProbeFactory = (server: ServerConfig, health: HealthConfig, road: Road) => Probe;

/** A health body is read to its end, so that the server sees a complete exchange, but no further than this. */
const BODY_BYTES_MAX = 65_536;

/** The probe that the configuration asks for: a call of gRPC, HTTP when there is a path, a TCP connect otherwise. */
export const createProbe: ProbeFactory = (server, health, road) => {
  if (health.grpc !== null) return new GrpcProbe(server, health, road, health.grpc);
  return health.path === null
    ? new TcpProbe(server, health, road)
    : new HttpProbe(server, health, road, health.path);
};

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
    const client = new (undici().Client)(urlOf(this.#server, this.#health), {
      ...options,
      connect: (_, callback) => {
        const socket = openRoad(this.#server, this.#health, this.#road);
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
      const socket = openRoad(this.#server, this.#health, this.#road);
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

/** Scheme, host and port. A path of the server's URL is not put before that of checks. */
function urlOf(server: ServerConfig, { port }: HealthConfig): string {
  const authority = authorityOf(port === null ? server : { ...server, port });
  return `${server.isTls ? 'https' : 'http'}://${authority}`;
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
