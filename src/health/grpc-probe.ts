// The health protocol of gRPC (grpc.health.v1): one call of Check on a fresh connection.
//
//   request    0 | length 32 | HealthCheckRequest { 1: service }
//   response   0 | length 32 | HealthCheckResponse { 1: status, 1 is SERVING }, and grpc-status behind it

import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { printable } from '../base/printable.ts';
import { runningScheduler } from '../base/scheduler.ts';
import { authorityOf } from '../config/address.ts';
import type { HealthConfig, ServerConfig } from '../config/model.ts';
import { failed, type ProbeOutcome, timedOut } from './probe-outcome.ts';
import { openRoad, type Road } from './road.ts';
import { readSelfReport } from './self-report.ts';

const PREFIX_BYTES = 5;
/** A message is a few bytes; more is no answer to a check. */
const ANSWER_BYTES_MAX = 1024;
/** By number (grpc/health/v1/health.proto). */
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const;
const SERVING = 1;

export class GrpcProbe {
  readonly #server: ServerConfig;
  readonly #health: HealthConfig;
  readonly #road: Road;
  readonly #message: Buffer;
  #end: (() => void) | null = null;

  /** `service`: '' for the server as a whole. */
  constructor(server: ServerConfig, health: HealthConfig, road: Road, service: string) {
    this.#server = server;
    this.#health = health;
    this.#road = road;
    this.#message = requestFor(service);
  }

  check(): Promise<ProbeOutcome> {
    const { timeoutMs } = this.#health;
    return new Promise((resolve) => {
      const socket = openRoad(this.#server, this.#health, this.#road);
      let session: ClientHttp2Session | null = null;
      const finish = (outcome: ProbeOutcome): void => {
        timer.cancel();
        this.#end = null;
        socket.on('error', () => undefined);
        session?.destroy();
        socket.destroy();
        resolve(outcome);
      };
      const timer = runningScheduler.after(timeoutMs, () => finish(timedOut(timeoutMs)));
      this.#end = () => finish(found('failure', 'check was ended'));
      socket.once('error', (error) => finish(failed(error)));
      socket.once('close', () => finish(found('failure', 'the server closed the connection')));
      socket.once(this.#server.isTls ? 'secureConnect' : 'connect', () => {
        session = connect('http://check', { createConnection: () => socket });
        session.on('error', (error) => finish(failed(error)));
        try {
          this.#call(session, finish);
        } catch (error) {
          // header fields of the configuration that HTTP/2 does not have
          finish(failed(error));
        }
      });
    });
  }

  close(): void {
    this.#end?.();
  }

  #call(session: ClientHttp2Session, finish: (outcome: ProbeOutcome) => void): void {
    const { host, headers, timeoutMs } = this.#health;
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      ':scheme': this.#server.isTls ? 'https' : 'http',
      ':authority': host ?? authorityOf(this.#server),
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'holdfast-health',
      'grpc-timeout': `${timeoutMs}m`,
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    });
    let head: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    let answer = Buffer.alloc(0);
    stream.on('response', (fields) => {
      head = fields;
    });
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    stream.on('data', (part: Buffer) => {
      if (answer.length < ANSWER_BYTES_MAX) answer = Buffer.concat([answer, part]);
    });
    stream.on('error', (error) => finish(failed(error)));
    stream.on('end', () => finish(judge(head, trailers, answer)));
    stream.end(this.#message);
  }
}

function requestFor(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const field = service === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(field.length, 1);
  return Buffer.concat([prefix, field]);
}

function found(result: ProbeOutcome['result'], detail: string): ProbeOutcome {
  return { result, isRefused: false, detail };
}

function judge(head: IncomingHttpHeaders, trailers: IncomingHttpHeaders, answer: Buffer): ProbeOutcome {
  const report = readSelfReport(head);
  const status = head[':status'];
  const code = trailers['grpc-status'] ?? head['grpc-status'];
  const reached = { isReached: true, report };
  if (String(status) !== '200') return { ...found('failure', `status ${status}`), ...reached };
  if (code !== '0') {
    const said = trailers['grpc-message'] ?? head['grpc-message'] ?? '';
    const message = said === '' ? '' : `: ${decoded(String(said).slice(0, 200))}`;
    return { ...found('failure', `grpc-status ${code ?? 'is missing'}${message}`), ...reached };
  }
  const serving = servingStatus(answer);
  const result = serving === SERVING ? 'success' : 'failure';
  return { ...found(result, STATUSES[serving] ?? `serving status ${serving}`), ...reached };
}

/** Percent-encoded UTF-8; whatever else it is stays as it came. */
function decoded(message: string): string {
  try {
    return printable(decodeURIComponent(message));
  } catch {
    return message;
  }
}

/** Field 1, a number below 128; absent: 0, as protobuf has it. */
function servingStatus(answer: Buffer): number {
  if (answer.length < PREFIX_BYTES + 2 || answer[0] !== 0 || answer[PREFIX_BYTES] !== 0x08) return 0;
  return answer[PREFIX_BYTES + 1] as number;
}
