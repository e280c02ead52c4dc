// Reads responses from a socket byte by byte where it must and by the megabyte where it can.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';

export interface Response {
  readonly status: number;
  readonly body: Buffer;
  /** The connection may carry another request. */
  readonly isKept: boolean;
  header(name: string): string;
}

/** The connection ended before all was there. `isBegun`: in the middle of a response. */
export class EndedEarly extends Error {
  readonly isBegun: boolean;

  constructor(isBegun: boolean) {
    super(isBegun ? 'a response was cut off' : 'the connection ended');
    this.isBegun = isBegun;
  }
}

export class ByteReader {
  readonly socket: Socket;
  #parts: Buffer[] = [];
  #length = 0;
  #hasEnded = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    const end = (): void => {
      this.#hasEnded = true;
      this.#wake();
    };
    socket.on('data', (part: Buffer) => {
      this.#parts.push(part);
      this.#length += part.length;
      this.#wake();
    });
    socket.on('end', end).on('close', end).on('error', end);
  }

  static async open(port: number, isSecure = false): Promise<ByteReader> {
    const to = { port, host: '127.0.0.1', noDelay: true };
    const socket = isSecure ? connectSecurely({ ...to, rejectUnauthorized: false }) : connect(to);
    await once(socket, isSecure ? 'secureConnect' : 'connect');
    return new ByteReader(socket);
  }

  /** What has come, in one piece as far as the first `length` bytes: the rest of a long body is not copied for each chunk. */
  #front(length: number): Buffer {
    let pieces = 1;
    let joined = this.#parts[0]?.length ?? 0;
    while (joined < length && pieces < this.#parts.length) {
      joined += (this.#parts[pieces] as Buffer).length;
      pieces += 1;
    }
    if (pieces > 1) this.#parts.splice(0, pieces, Buffer.concat(this.#parts.slice(0, pieces)));
    return this.#parts[0] ?? Buffer.alloc(0);
  }

  async #more(isBegun: boolean): Promise<void> {
    if (this.#hasEnded) throw new EndedEarly(isBegun || this.#length > 0);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #take(length: number): Buffer {
    const front = this.#front(length);
    this.#parts[0] = front.subarray(length);
    this.#length -= length;
    return front.subarray(0, length);
  }

  async bytes(length: number): Promise<Buffer> {
    while (this.#length < length) await this.#more(true);
    return this.#take(length);
  }

  async #upTo(marker: string, isBegun: boolean): Promise<string> {
    for (;;) {
      const front = this.#front(0);
      const at = front.indexOf(marker);
      if (at >= 0) return this.#take(at + marker.length).toString('latin1', 0, at);
      if (this.#parts.length > 1) this.#front(front.length + 1);
      else await this.#more(isBegun);
    }
  }

  /** The next final response; those of 1xx before it are read over, 101 is final. */
  async response(method: string): Promise<Response> {
    for (;;) {
      const head = await this.#upTo('\r\n\r\n', false);
      const status = Number(head.split(' ', 2)[1]);
      if (status >= 200 || status === 101) return this.#final(head, status, method);
    }
  }

  async #final(head: string, status: number, method: string): Promise<Response> {
    const header = (name: string): string =>
      new RegExp(`^${name}: (.*)$`, 'im').exec(head.replaceAll('\r', ''))?.[1] ?? '';
    const hasBody = method !== 'HEAD' && status !== 204 && status !== 304 && status !== 101;
    const isKept =
      header('connection') !== 'close' &&
      (head.startsWith('HTTP/1.1') || header('connection') === 'keep-alive');
    const body = hasBody ? await this.#body(header) : Buffer.alloc(0);
    return { status, body, isKept, header };
  }

  async #body(header: (name: string) => string): Promise<Buffer> {
    if (header('transfer-encoding') === 'chunked') return this.#chunks();
    if (header('content-length') !== '') return this.bytes(Number(header('content-length')));
    while (!this.#hasEnded) await this.#more(true);
    return this.#take(this.#length);
  }

  async #chunks(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt(await this.#upTo('\r\n', true), 16);
      if (size > 0) chunks.push(await this.bytes(size));
      await this.bytes(2);
      if (size === 0) return Buffer.concat(chunks);
    }
  }
}
