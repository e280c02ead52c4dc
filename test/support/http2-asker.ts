// A client that keeps so many requests of HTTP/2 under way on one connection, and counts what becomes of them.

import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { eventually } from './eventually.ts';
import { whenDone } from './lifetime.ts';

const STREAMS = 20;

/**
 * A browser's side: so many requests at once, over a new connection once it is told that the one it has ends. What was refused
 * was not begun, and is asked again (RFC 9113 section 8.7): node:http2 refuses itself what it has not sent when it is told.
 */
class Asker {
  answered = 0;
  readonly failures: string[] = [];
  connections = 0;
  readonly #port: number;
  #session: ClientHttp2Session | null = null;
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
  }

  #open(): ClientHttp2Session {
    const session = this.#session;
    if (session !== null && !session.closed && !session.destroyed) return session;
    const opened = connect(`http://127.0.0.1:${this.#port}`);
    this.connections += 1;
    this.#session = opened;
    opened.on('error', (error) => this.failures.push(`connection: ${error.message}`));
    whenDone(() => opened.destroy());
    return opened;
  }

  #ask(number: number): Promise<void> {
    return new Promise((resolve) => {
      const path = `/${number}`;
      const stream = this.#open().request({ ':path': path });
      let status = 0;
      let body = '';
      stream.setEncoding('latin1');
      stream.on('response', (headers) => {
        status = Number(headers[':status']);
      });
      stream.on('data', (part: string) => {
        body += part;
      });
      stream.on('error', () => undefined); // 'close' follows
      stream.on('close', () => {
        if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) {
          resolve(this.#ask(number));
          return;
        }
        if (status === 200 && body === `you asked for ${path}`) this.answered += 1;
        else this.failures.push(`${path}: ${status} ${body}, ended with code ${stream.rstCode}`);
        resolve();
      });
    });
  }

  async ask(): Promise<void> {
    let number = 0;
    const one = async (): Promise<void> => {
      while (!this.#isOver) {
        number += 1;
        await this.#ask(number);
      }
    };
    await Promise.all(Array.from({ length: STREAMS }, one));
    this.#session?.close();
  }

  end(): void {
    this.#isOver = true;
  }
}

/** So many of them at once, from the beginning on. */
export class Askers {
  readonly #all: readonly Asker[];
  readonly #asking: Promise<unknown>;

  constructor(count: number, port: number) {
    this.#all = Array.from({ length: count }, () => new Asker(port));
    this.#asking = Promise.all(this.#all.map((asker) => asker.ask()));
  }

  get #answered(): number {
    return this.#all.reduce((sum, { answered }) => sum + answered, 0);
  }

  get failures(): readonly string[] {
    return this.#all.flatMap(({ failures }) => failures);
  }

  /** That each of them has opened. */
  get connections(): readonly number[] {
    return this.#all.map(({ connections }) => connections);
  }

  /** Resolves when so many more requests were answered, or one has failed. */
  async answer(count: number, deadlineMs?: number): Promise<void> {
    const from = this.#answered;
    const isEnough = (): boolean => this.#answered - from >= count || this.failures.length > 0;
    await eventually(isEnough, deadlineMs === undefined ? {} : { deadlineMs });
  }

  /** Resolves when what is under way was answered. */
  async end(): Promise<void> {
    for (const asker of this.#all) asker.end();
    await this.#asking;
  }
}
