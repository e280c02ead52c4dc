// A user who asks for bytes in every way there is and compares each with what its own request asked for.

import type { Random } from '../../src/base/random.ts';
import { ByteReader, EndedEarly, type Response } from './byte-reader.ts';
import { bytesOf, ownerOf, uploadNumber } from './integrity-server.ts';

const USUAL_LENGTHS = [0, 1, 700, 12_000, 12_289, 16_000, 48_000, 65_536, 200_000] as const;
/** The long one is rare: it takes as much time as twenty others. */
const LENGTHS = [...USUAL_LENGTHS, ...USUAL_LENGTHS, ...USUAL_LENGTHS, 3_000_000];
const FRAMINGS = ['length', 'length', 'chunked', 'close', 'empty', 'unchanged', 'found'] as const;
const UPLOADS = ['', '', '', 'length', 'chunked', 'expect'] as const;
const POOLS = ['plain', 'held'] as const;
const PAUSE_MS = 15;
const PIPELINED_MAX = 4;

/** What all users have seen together. */
export class Findings {
  responses = 0;
  uploads = 0;
  tunnels = 0;
  takeovers = 0;
  /** Of bodies both ways over HTTP/2 that were right. */
  http2Bytes = 0;
  /** Bytes that were not those asked for, and answers that belong to another request. */
  readonly wrong: string[] = [];
  /** Responses cut off, and requests without an answer that were promised one. */
  readonly cut: string[] = [];
  #number = 0;

  next(): number {
    this.#number += 1;
    return this.#number;
  }
}

interface Asked {
  readonly number: number;
  readonly method: string;
  readonly what: string;
  readonly status: number;
  readonly body: Buffer;
  readonly bytes: Buffer;
  readonly upload: boolean;
}

export class IntegrityUser {
  readonly #findings: Findings;
  readonly #random: Random;
  readonly #port: number;
  readonly #isSecure: boolean;
  readonly #lengths: readonly number[];
  #reader: ByteReader | null = null;

  /** `lengths`: of bodies, either way. */
  constructor(
    port: number,
    findings: Findings,
    random: Random,
    isSecure = false,
    lengths: readonly number[] = LENGTHS,
  ) {
    this.#port = port;
    this.#isSecure = isSecure;
    this.#lengths = lengths;
    this.#findings = findings;
    this.#random = random;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random.next() * list.length)] as T;
  }

  /** Asks until `isOver`; a connection that says so is left for a new one. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      try {
        if (this.#random.next() < 0.05) await this.#tunnel();
        else await this.#converse();
      } catch (error) {
        if (error instanceof EndedEarly && error.isBegun) this.#findings.cut.push(error.message);
        this.close();
      }
    }
    this.close();
  }

  close(): void {
    this.#reader?.socket.destroy();
    this.#reader = null;
  }

  /** One request, or several without waiting for the answers. */
  async #converse(): Promise<void> {
    this.#reader ??= await ByteReader.open(this.#port, this.#isSecure);
    const reader = this.#reader;
    const count = this.#random.next() < 0.3 ? 2 + Math.floor(this.#random.next() * (PIPELINED_MAX - 1)) : 1;
    const asked = Array.from({ length: count }, () => this.#ask());
    reader.socket.write(Buffer.concat(asked.map(({ bytes }) => bytes)));
    for (const one of asked) {
      const pausing = this.#random.next() < 0.2 ? this.#pause(reader) : null;
      const response = await reader.response(one.method);
      await pausing;
      this.#compare(one, response);
      // what was sent behind it is not answered
      if (!response.isKept) {
        this.close();
        return;
      }
    }
  }

  async #pause({ socket }: ByteReader): Promise<void> {
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    socket.resume();
  }

  #ask(): Asked {
    const number = this.#findings.next();
    const [framing, upload] = [this.#pick(FRAMINGS), this.#pick(UPLOADS)];
    const length = this.#pick(this.#lengths);
    const isOld = this.#random.next() < 0.15;
    const isHead = upload === '' && this.#random.next() < 0.1;
    const method = upload !== '' ? 'POST' : isHead ? 'HEAD' : 'GET';
    const path = `/${this.#pick(POOLS)}/${framing}/${number}/${length}`;
    const sent = upload === '' ? Buffer.alloc(0) : bytesOf(uploadNumber(number), this.#pick(this.#lengths));
    const isChunked = upload === 'chunked' && !isOld;
    const lines = [
      `${method} ${path} HTTP/1.${isOld ? 0 : 1}`,
      'host: a',
      `x-length: ${sent.length}`,
      ...(isOld ? ['connection: keep-alive'] : []),
      ...(upload === 'expect' && !isOld ? ['expect: 100-continue'] : []),
      ...(upload === '' ? [] : [isChunked ? 'transfer-encoding: chunked' : `content-length: ${sent.length}`]),
    ];
    const body = isChunked ? this.#chunked(sent) : sent;
    const isEmpty = framing === 'empty' || framing === 'unchanged' || isHead;
    return {
      number,
      method,
      what: `${method} ${path} HTTP/1.${isOld ? 0 : 1} ${upload}`,
      status: framing === 'empty' ? 204 : framing === 'unchanged' ? 304 : framing === 'found' ? 302 : 200,
      body: isEmpty ? Buffer.alloc(0) : bytesOf(number, length),
      bytes: Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]),
      upload: upload !== '',
    };
  }

  #chunked(bytes: Buffer): Buffer {
    const size = 1 + Math.floor(this.#random.next() * 40_000);
    const parts: Buffer[] = [];
    for (let begin = 0; begin < bytes.length; begin += size) {
      const part = bytes.subarray(begin, begin + size);
      parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
    }
    return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
  }

  #compare(asked: Asked, { status, body, header }: Response): void {
    this.#findings.responses += 1;
    if (asked.upload) this.#findings.uploads += 1;
    const isOurs = header('x-number') === String(asked.number) && status === asked.status;
    if (isOurs && body.equals(asked.body) && header('x-upload') === 'right') return;
    const at = asked.body.findIndex((byte, index) => byte !== body[index]);
    this.#findings.wrong.push(
      `${asked.what}: status ${status} ${header('x-holdfast-error')}, number ${header('x-number')}, upload ${header('x-upload')}, ${body.length} bytes of ${asked.body.length}, first wrong at ${at}: those of ${ownerOf(body, at)}`,
    );
  }

  /** Early bytes with the upgrade, then more, and all of it back. */
  async #tunnel(): Promise<void> {
    this.close();
    const reader = await ByteReader.open(this.#port, this.#isSecure);
    this.#reader = reader;
    const number = this.#findings.next();
    const bytes = bytesOf(number, this.#pick(this.#lengths) + 20_000);
    const early = Math.floor(this.#random.next() * 20_000);
    reader.socket.write(
      `GET /plain/tunnel/${number}/0 HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`,
    );
    reader.socket.write(bytes.subarray(0, early));
    const response = await reader.response('GET');
    reader.socket.write(bytes.subarray(early));
    const pausing = this.#random.next() < 0.5 ? this.#pause(reader) : null;
    const echoed = await reader.bytes(bytes.length);
    await pausing;
    this.#findings.tunnels += 1;
    if (response.status !== 101 || !echoed.equals(bytes))
      this.#findings.wrong.push(
        `tunnel ${number} of ${bytes.length} bytes, ${early} early: status ${response.status}`,
      );
    this.close();
  }
}

/** `users` at once, until `isOver`. */
export async function askAround(
  users: readonly { run(isOver: () => boolean): Promise<void> }[],
  isOver: () => boolean,
): Promise<void> {
  await Promise.all(users.map((user) => user.run(isOver)));
}

/** The two pools that users ask. `caFile`: authority of a server over TLS. */
export function integrityPools(url: string, caFile: string | null = null): string {
  const tls = caFile === null ? '' : `tls: { ca: ${caFile} }, `;
  return `
routes: [{ path: /held, pool: held }, { pool: plain }]
pools:
  plain: { ${tls}health: off, sticky: { mode: cookie-hash, cookie: plain, owner: balancer }, servers: ["${url}"] }
  held: { ${tls}health: off, holdUntilComplete: small, sticky: { mode: cookie-hash, cookie: held, owner: balancer }, servers: ["${url}"] }
`;
}
