// A client of HTTP/2 that sends whatever frames a test wants, well formed or not, and remembers what comes back.

import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.ts';
import { whenDone } from './lifetime.ts';

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const FRAME_HEAD_BYTES = 9;

export const Type = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const END_STREAM = 1;
export const END_HEADERS = 4;
export const CALM = 11;

export const repeat = (times: number, make: (index: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: times }, (_, index) => make(index)));

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags = 0, stream = 0, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload as string, 'latin1');
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A header block of literals that no table keeps. */
export function block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value, 'latin1');
    const { length } = bytes;
    const head = length < 127 ? [length] : [127, 128 | ((length - 127) & 127), (length - 127) >> 7];
    return Buffer.concat([Buffer.from(head), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

export type Fields = readonly (readonly [name: string, value: string])[];

export function request(
  stream: number,
  more: Fields = [],
  path = '/',
  method = 'GET',
  isLast = method === 'GET',
): Buffer {
  const fields: Fields = [
    [':method', method],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'localhost'],
    ...more,
  ];
  return frame(Type.headers, END_HEADERS | (isLast ? END_STREAM : 0), stream, block(fields));
}

/** Cuts bytes into frames. */
export class FrameBuffer {
  #bytes: Buffer = Buffer.alloc(0);

  add(chunk: Buffer): readonly Frame[] {
    const frames: Frame[] = [];
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < end) break;
      const payload = this.#bytes.subarray(FRAME_HEAD_BYTES, end);
      const [type = 0, flags = 0] = this.#bytes.subarray(3);
      frames.push({ type, flags, stream: this.#bytes.readUInt32BE(5) & 0x7fffffff, payload });
      this.#bytes = this.#bytes.subarray(end);
    }
    return frames;
  }
}

export class Http2Peer {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  isClosed = false;
  readonly #buffer = new FrameBuffer();

  /** Sends the preface and SETTINGS with these values. */
  constructor(port: number, settings: readonly (readonly [setting: number, value: number])[] = []) {
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true });
    whenDone(() => this.socket.destroy());
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      this.isClosed = true;
    });
    this.socket.on('data', (chunk: Buffer) => this.frames.push(...this.#buffer.add(chunk)));
    const values = settings.map(([setting, value]) => {
      const bytes = Buffer.alloc(6);
      bytes.writeUInt16BE(setting);
      bytes.writeUInt32BE(value, 2);
      return bytes;
    });
    this.send(Buffer.from(PREFACE), frame(Type.settings, 0, 0, Buffer.concat(values)));
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.isClosed) this.socket.write(Buffer.concat(frames));
  }

  of(type: number, stream?: number): readonly Frame[] {
    return this.frames.filter((each) => each.type === type && (stream ?? each.stream) === each.stream);
  }

  /** DATA that has come on a stream. */
  body(stream: number): string {
    return Buffer.concat(this.of(Type.data, stream).map(({ payload }) => payload)).toString('latin1');
  }

  isWhole(stream: number): boolean {
    return this.frames.some(
      ({ type, flags, stream: id }) =>
        id === stream && (type === Type.data || type === Type.headers) && (flags & END_STREAM) !== 0,
    );
  }

  /** Error codes of GOAWAY and RST_STREAM. */
  codes(type: number): readonly number[] {
    return this.of(type).map(({ payload }) => payload.readUInt32BE(type === Type.goaway ? 4 : 0));
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    await eventually(condition, {
      what: () => `${what}; frames ${JSON.stringify(this.frames.map(({ type, stream }) => [type, stream]))}`,
    });
  }

  /** What there is to do has been done once. */
  turn(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Everything sent so far has been read and answered. */
  async synced(): Promise<void> {
    const pongs = this.of(Type.ping).length;
    this.send(frame(Type.ping, 0, 0, 'syncsync'));
    await this.until(() => this.of(Type.ping).length > pongs || this.isClosed, 'an answer to PING');
  }
}
