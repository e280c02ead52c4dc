// As integrity-user.ts, over HTTP/2: several streams at once on one connection, some read with pauses, some taken back.

import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { Random } from '../../src/base/random.ts';
import { bytesOf, uploadNumber } from './integrity-server.ts';
import type { Findings } from './integrity-user.ts';

const LENGTHS = [0, 1, 700, 12_000, 16_375, 16_376, 48_000, 65_535, 65_536, 200_000, 1_000_000] as const;
const STATUSES = { length: 200, chunked: 200, close: 200, empty: 204, unchanged: 304, found: 302 } as const;
const FRAMINGS = Object.keys(STATUSES) as readonly (keyof typeof STATUSES)[];
const POOLS = ['plain', 'held'] as const;
const STREAMS = 6;
/** Node's client refuses what comes, with ENHANCE_YOUR_CALM, once it thinks that a session takes so many megabytes; 10 by itself. */
const SESSION_MB = 1000;
const PAUSE_MS = 15;

export class Http2IntegrityUser {
  readonly #url: string;
  readonly #findings: Findings;
  readonly #random: Random;
  #session: ClientHttp2Session | null = null;

  constructor(port: number, findings: Findings, random: Random, isSecure: boolean) {
    this.#url = `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`;
    this.#findings = findings;
    this.#random = random;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random.next() * list.length)] as T;
  }

  #open(): ClientHttp2Session {
    const session = this.#session;
    if (session !== null && !session.closed && !session.destroyed) return session;
    const opened = connect(this.#url, { rejectUnauthorized: false, maxSessionMemory: SESSION_MB });
    opened.on('error', () => undefined); // its streams say what came of them
    this.#session = opened;
    return opened;
  }

  async run(isOver: () => boolean): Promise<void> {
    const one = async (): Promise<void> => {
      while (!isOver()) await this.#ask();
    };
    await Promise.all(Array.from({ length: STREAMS }, one));
    this.#session?.destroy();
  }

  #ask(): Promise<void> {
    const number = this.#findings.next();
    const framing = this.#pick(FRAMINGS);
    const length = this.#pick(LENGTHS);
    const path = `/${this.#pick(POOLS)}/${framing}/${number}/${length}`;
    const isUpload = this.#random.next() < 0.5;
    const sent = isUpload ? bytesOf(uploadNumber(number), this.#pick(LENGTHS)) : Buffer.alloc(0);
    const announced = this.#random.next() < 0.5 ? { 'content-length': sent.length } : {};
    const stream = this.#open().request(
      {
        ':method': isUpload ? 'POST' : 'GET',
        ':path': path,
        'x-length': sent.length,
        ...(isUpload ? announced : {}),
      },
      { endStream: !isUpload },
    );
    if (isUpload) stream.end(sent);
    if (this.#random.next() < 0.2) this.#pauseSometimes(stream);
    const isTakenBack = this.#random.next() < 0.03;
    if (isTakenBack) setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), this.#random.next() * PAUSE_MS);
    const isEmpty = framing === 'empty' || framing === 'unchanged';
    const body = isEmpty ? Buffer.alloc(0) : bytesOf(number, length);
    return this.#answered(stream, {
      number,
      path,
      status: STATUSES[framing],
      body,
      isUpload,
      sentBytes: sent.length,
      isTakenBack,
    });
  }

  #pauseSometimes(stream: ClientHttp2Stream): void {
    stream.on('data', () => {
      stream.pause();
      setTimeout(() => stream.resume(), this.#random.next() * PAUSE_MS);
    });
  }

  #answered(stream: ClientHttp2Stream, asked: Asked): Promise<void> {
    return new Promise((resolve) => {
      let headers: Readonly<Record<string, unknown>> = {};
      const parts: Buffer[] = [];
      stream.on('response', (fields) => {
        headers = fields;
      });
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('error', () => undefined); // 'close' follows
      stream.on('close', () => {
        this.#compare(asked, headers, Buffer.concat(parts), stream.rstCode);
        resolve();
      });
    });
  }

  #compare(asked: Asked, headers: Readonly<Record<string, unknown>>, body: Buffer, code: number): void {
    const { wrong, cut } = this.#findings;
    const status = headers[':status'];
    const isWhole = body.length === asked.body.length;
    const isOurs = headers['x-number'] === String(asked.number) && status === asked.status;
    const isRight =
      isOurs && headers['x-upload'] === 'right' && body.equals(asked.body.subarray(0, body.length));
    const what = `HTTP/2 ${asked.path}: status ${status} ${headers['x-holdfast-error']}, number ${headers['x-number']}, upload ${headers['x-upload']}, ${body.length} bytes of ${asked.body.length}, code ${code}`;
    // refused: not begun, may be asked again
    if (status === undefined) {
      if (code !== constants.NGHTTP2_REFUSED_STREAM && !asked.isTakenBack) cut.push(what);
    } else if (!isRight) wrong.push(what);
    else if (isWhole) {
      this.#findings.responses += 1;
      if (asked.isUpload) this.#findings.uploads += 1;
      this.#findings.http2Bytes += body.length + asked.sentBytes;
    } else if (!asked.isTakenBack) (code === constants.NGHTTP2_NO_ERROR ? wrong : cut).push(what);
  }
}

interface Asked {
  readonly number: number;
  readonly path: string;
  readonly status: number;
  readonly body: Buffer;
  readonly isUpload: boolean;
  readonly sentBytes: number;
  readonly isTakenBack: boolean;
}
