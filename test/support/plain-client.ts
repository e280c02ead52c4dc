// A small HTTP/1.1 client for tests of many thousand requests: one request at a time on a plain socket, replies framed
// by Content-Length or empty. Connects when it has to, from the address it is given.

import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface PlainReply {
  readonly status: number;
  /** Head without the status line, as it came. */
  readonly head: string;
  readonly body: string;
  /** First value of the header, null when it is not there. */
  header(name: string): string | null;
  readonly setCookies: readonly string[];
}

interface Pending {
  resolve(reply: PlainReply): void;
  reject(error: Error): void;
}

export class PlainClient {
  readonly #port: number;
  readonly #localAddress: string | undefined;
  #socket: Socket | null = null;
  #received = '';
  #pending: Pending | null = null;

  constructor(port: number, localAddress?: string) {
    this.#port = port;
    this.#localAddress = localAddress;
  }

  /** Sends one request without a body. Rejects when the connection ends before the whole reply is here. */
  ask(method: string, target: string, headers: Readonly<Record<string, string>> = {}): Promise<PlainReply> {
    if (this.#pending !== null) throw new Error('one request at a time');
    let text = `${method} ${target} HTTP/1.1\r\n`;
    for (const name in headers) text += `${name}: ${headers[name]}\r\n`;
    if (!('host' in headers)) text += 'host: test\r\n';
    if (method === 'POST') text += 'content-length: 0\r\n';
    const socket = this.#socket ?? this.#open();
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      socket.write(`${text}\r\n`, 'latin1');
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  #open(): Socket {
    const local = this.#localAddress === undefined ? {} : { localAddress: this.#localAddress };
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true, ...local });
    socket.setEncoding('latin1');
    this.#received = '';
    let reason = 'closed';
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('data', (text: string) => this.#onData(text));
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = null;
      else if (this.#socket !== null) return;
      const pending = this.#pending;
      this.#pending = null;
      pending?.reject(new Error(`connection ${reason} after ${JSON.stringify(this.#received)}`));
    });
    this.#socket = socket;
    return socket;
  }

  #onData(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0 || this.#pending === null) return;
    const head = this.#received.slice(0, headEnd + 2);
    const length = Number(headerOf(head, 'content-length') ?? 0);
    const end = headEnd + 4 + length;
    if (this.#received.length < end) return;
    const body = this.#received.slice(headEnd + 4, end);
    const pending = this.#pending;
    this.#received = this.#received.slice(end);
    this.#pending = null;
    if (headerOf(head, 'connection')?.toLowerCase() === 'close') this.close();
    pending.resolve({
      status: Number(head.slice(9, 12)),
      head,
      body,
      header: (name) => headerOf(head, name),
      get setCookies() {
        return [...head.matchAll(/^set-cookie: *(.*?)\r$/gim)].map((match) => match[1] ?? '');
      },
    });
  }
}

/** A client that is closed when the test ends. */
export function plainClient(port: number, localAddress?: string): PlainClient {
  const client = new PlainClient(port, localAddress);
  onTestFinished(() => client.close());
  return client;
}

function headerOf(head: string, name: string): string | null {
  const lower = head.toLowerCase();
  const at = lower.indexOf(`\r\n${name}:`);
  if (at < 0) return null;
  const begin = at + name.length + 3;
  return head.slice(begin, head.indexOf('\r\n', begin)).trim();
}

/** Runs `count` jobs, `width` at a time. */
export async function inParallel(
  count: number,
  width: number,
  job: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await job(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}
