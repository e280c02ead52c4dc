/**
 * The least that a proxy in Node can cost between HTTP/2 over TLS and servers of HTTP/1: frames are told apart, streams matched with
 * connections to servers, windows opened. The head of a connection's first request is decoded, and that of its first response
 * encoded; all others are taken to be the same. Nothing is checked, counted, limited or ended in order.
 * `node http2-relay.ts PORT SECURE_PORT CERT KEY BACKEND_PORT...`
 */
import { readFileSync } from 'node:fs';
import { connect, createServer as createPlain, type Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { PREFACE } from '../../src/http2/codes.ts';
import { HpackDecoder } from '../../src/http2/hpack-decoder.ts';
import { HpackEncoder } from '../../src/http2/hpack-encoder.ts';
import { readInto } from '../../src/proxy/secured-reading.ts';

const [port, securePort, cert = '', key = '', ...targets] = process.argv.slice(2);

const Type = { data: 0, headers: 1, settings: 4, ping: 6, goaway: 7, window: 8 } as const;
const HEAD_BYTES = 9;
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
/** More than h2load sends in a run. */
const WINDOW_BYTES = 2 ** 31 - 1 - 65_535;
const FRAME_BYTES = 16_384;
const memory = Buffer.allocUnsafeSlow(65_536);
const OUTPUT_BYTES = 262_144;
/** Nobody writes what is in them. */
const spare: Buffer[] = [];
const idle: Upstream[] = [];
let turn = 0;

function frame(type: number, flags: number, stream: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  writeHead(head, 0, body.length, type, flags, stream);
  return Buffer.concat([head, body]);
}

function writeHead(
  into: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): void {
  into.writeUIntBE(length, at, 3);
  into[at + 3] = type;
  into[at + 4] = flags;
  into.writeUInt32BE(stream, at + 5);
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A connection to a server, of one stream at a time. */
class Upstream {
  readonly socket: Socket;
  client: Client | null = null;
  stream = 0;
  /** Of the body of the response; -1: its head has not come. */
  left = -1;
  /** The request is whole: some servers answer before that. */
  isSent = true;
  isAnswered = false;

  constructor() {
    this.socket = connect({
      port: Number(targets[turn++ % targets.length]),
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: memory,
        callback: (bytes) => {
          this.#onRead(memory.subarray(0, bytes));
          return true;
        },
      },
    });
    this.socket.on('error', () => process.exit(1));
  }

  #onRead(chunk: Buffer): void {
    const { client } = this;
    if (client === null) return;
    let body = chunk;
    if (this.left < 0) {
      const end = chunk.indexOf('\r\n\r\n') + 4;
      client.answerHead(this.stream, chunk, end);
      this.left = client.bodyBytes;
      body = chunk.subarray(end);
    }
    this.left -= body.length;
    client.answerBody(this.stream, body, this.left === 0);
    if (this.left > 0) return;
    this.isAnswered = true;
    this.settle();
  }

  settle(): void {
    if (!this.isSent || !this.isAnswered) return;
    this.left = -1;
    this.client = null;
    this.isAnswered = false;
    idle.push(this);
  }
}

class Client {
  readonly #socket: TLSSocket;
  #rest: Buffer = Buffer.alloc(0);
  #toSkip = PREFACE.length;
  /** As HTTP/1 has it; '': not known yet. */
  #request = '';
  readonly #encoder = new HpackEncoder();
  #blocks = 0;
  #block: Buffer = Buffer.alloc(0);
  /** Of each response. */
  bodyBytes = 0;
  readonly #uploads = new Map<number, Upstream>();
  /** What is written at the end of the turn. */
  #output: Buffer = spare.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  #length = 0;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#onRead(chunk));
    readInto(socket, {
      buffer: memory,
      callback: (bytes) => {
        this.#onRead(memory.subarray(0, bytes));
        return true;
      },
    });
    this.#put(frame(Type.settings, 0, 0, Buffer.concat([Buffer.from([0, 4]), number(2 ** 30)])));
    this.#put(frame(Type.window, 0, 0, number(WINDOW_BYTES)));
  }

  #onRead(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = Math.min(this.#toSkip, bytes.length);
    this.#toSkip -= at;
    while (bytes.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      this.#onFrame(
        bytes[at + 3] ?? 0,
        bytes[at + 4] ?? 0,
        bytes.readUInt32BE(at + 5),
        bytes.subarray(at + HEAD_BYTES, end),
      );
      at = end;
    }
    this.#rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  }

  #onFrame(type: number, flags: number, stream: number, body: Buffer): void {
    if (type === Type.headers) this.#onHeaders(flags, stream, body);
    else if (type === Type.data) {
      this.#uploads.get(stream)?.socket.write(body.toString('latin1'), 'latin1');
      this.#put(frame(Type.window, 0, 0, number(body.length)));
      if ((flags & END_STREAM) !== 0) this.#endUpload(stream);
    } else if (type === Type.settings && (flags & ACK) === 0) this.#put(frame(Type.settings, ACK, 0));
    else if (type === Type.ping) this.#put(frame(Type.ping, ACK, 0, body));
  }

  #onHeaders(flags: number, stream: number, body: Buffer): void {
    if (this.#request === '') this.#request = requestOf(body, (flags & 0x20) !== 0);
    const upstream = idle.pop() ?? new Upstream();
    upstream.client = this;
    upstream.stream = stream;
    upstream.socket.write(this.#request, 'latin1');
    upstream.isSent = (flags & END_STREAM) !== 0;
    if (!upstream.isSent) this.#uploads.set(stream, upstream);
  }

  #endUpload(stream: number): void {
    const upstream = this.#uploads.get(stream);
    this.#uploads.delete(stream);
    if (upstream === undefined) return;
    upstream.isSent = true;
    upstream.settle();
  }

  answerHead(stream: number, bytes: Buffer, end: number): void {
    // the second block refers to what the first one brought, and so do all others
    if (this.#blocks < 2) this.#encode(bytes.toString('latin1', 0, end));
    this.#blocks += 1;
    this.#room(HEAD_BYTES + this.#block.length);
    writeHead(this.#output, this.#length, this.#block.length, Type.headers, END_HEADERS, stream);
    this.#block.copy(this.#output, this.#length + HEAD_BYTES);
    this.#length += HEAD_BYTES + this.#block.length;
  }

  #encode(head: string): void {
    const [, ...lines] = head.trimEnd().split('\r\n');
    this.bodyBytes = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
    const encoder = this.#encoder;
    encoder.begin();
    encoder.status(200);
    for (const line of lines) if (!line.startsWith('Connection')) encoder.line(line);
    this.#block = Buffer.from(encoder.block.subarray(0, encoder.length));
  }

  answerBody(stream: number, body: Buffer, isLast: boolean): void {
    for (let at = 0; at < body.length; at += FRAME_BYTES) {
      const part = body.subarray(at, at + FRAME_BYTES);
      const flags = isLast && at + part.length === body.length ? END_STREAM : 0;
      this.#room(HEAD_BYTES + part.length);
      writeHead(this.#output, this.#length, part.length, Type.data, flags, stream);
      part.copy(this.#output, this.#length + HEAD_BYTES);
      this.#length += HEAD_BYTES + part.length;
    }
  }

  #room(bytes: number): void {
    if (this.#length === 0) setImmediate(() => this.#flush());
    if (this.#length + bytes > this.#output.length) {
      this.#flush();
      setImmediate(() => this.#flush());
    }
  }

  #put(bytes: Buffer): void {
    this.#room(bytes.length);
    bytes.copy(this.#output, this.#length);
    this.#length += bytes.length;
  }

  #flush(): void {
    if (this.#length === 0) return;
    const written = this.#output;
    this.#socket.write(written.subarray(0, this.#length), () => spare.push(written));
    this.#output = spare.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BYTES);
    this.#length = 0;
  }
}

function requestOf(block: Buffer, hasPriority: boolean): string {
  const fields = new Map<string, string>();
  const lines: string[] = [];
  new HpackDecoder().decode(block, hasPriority ? 5 : 0, block.length, 65_536, {
    onField: ({ name, value, line, isPseudo }) => {
      if (isPseudo) fields.set(name, value);
      else lines.push(line);
    },
  });
  return `${fields.get(':method')} ${fields.get(':path')} HTTP/1.1\r\nHost: ${fields.get(':authority')}\r\n${lines.join('')}\r\n`;
}

const at = { host: '127.0.0.1', backlog: 4096 };
// asked once whether it answers
createPlain((socket) => {
  socket.pipe(connect({ port: Number(targets[0]), host: '127.0.0.1' })).pipe(socket);
  socket.on('error', () => undefined);
}).listen({ ...at, port: Number(port) });
createServer(
  {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ALPNProtocols: ['h2'],
    noDelay: true,
    highWaterMark: 262_144,
  },
  (socket) => new Client(socket),
).listen({ ...at, port: Number(securePort) });
