// A client that sends exactly the bytes it is given and keeps what comes back.

import { connect, type Socket } from 'node:net';
import { eventually } from './eventually.ts';
import { whenDone } from './lifetime.ts';

export interface RawClient {
  readonly socket: Socket;
  send(bytes: string | Buffer): void;
  /** Everything received so far, latin1. */
  received(): string;
  /** Resolves with what was received once it contains `text`. */
  until(text: string, deadlineMs?: number): Promise<string>;
  /** Resolves with everything once the connection is closed. `reset`: it ended with an error. */
  closed(deadlineMs?: number): Promise<{ text: string; reset: boolean }>;
}

export async function rawClient(port: number, host = '127.0.0.1'): Promise<RawClient> {
  const socket = connect({ port, host, allowHalfOpen: false });
  const parts: Buffer[] = [];
  let isClosed = false;
  let isReset = false;
  socket.on('data', (part: Buffer) => parts.push(part));
  socket.on('error', () => (isReset = true));
  socket.on('close', () => (isClosed = true));
  whenDone(() => {
    socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  const received = (): string => Buffer.concat(parts).toString('latin1');
  return {
    socket,
    send: (bytes) => {
      socket.write(bytes);
    },
    received,
    until: (text, deadlineMs = 5000) =>
      eventually(() => (received().includes(text) ? received() : null), {
        deadlineMs,
        what: () =>
          `${JSON.stringify(text)}; received ${JSON.stringify(received())}${isClosed ? ' and closed' : ''}`,
      }),
    closed: (deadlineMs = 5000) =>
      eventually(() => (isClosed ? { text: received(), reset: isReset } : null), {
        deadlineMs,
        what: () => `the connection to close; received ${JSON.stringify(received())}`,
      }),
  };
}
