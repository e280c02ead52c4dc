// Reads what TLS decrypts into memory of ours. Node offers that (`onread`) for connections that it opens itself, not where TLS
// begins on a socket that is there already; so it is told in the slots where it keeps that option. Without it each record
// of an upload is an allocation that V8 counts as foreign memory: it collects all garbage every few hundred of them.
//
//   record ──> flowing: into the buffer, handed on, valid until that returns
//          └── paused: copied to Node's stream, which hands it on when it flows again, before what comes later, and
//              takes no more than its high-water mark and what one read from the kernel decrypts to

import { type OnReadOpts, Socket } from 'node:net';

/** The binding below a socket, which is told where to read next. */
export interface ReadingHandle {
  useUserBuffer?(bytes: Uint8Array): void;
}

interface Slots {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly next: symbol;
}

const SLOTS = findSlots();

/** null where Node keeps them otherwise. */
function findSlots(): Slots | null {
  const probe = new Socket({ onread: { buffer: () => Buffer.alloc(1), callback: () => true } });
  const find = (name: string): symbol | undefined =>
    Object.getOwnPropertySymbols(probe).find(({ description }) => description === name);
  const [buffer, callback, next] = [find('kBuffer'), find('kBufferCb'), find('kBufferGen')];
  return buffer === undefined || callback === undefined || next === undefined
    ? null
    : { buffer, callback, next };
}

/** As the `onread` option of a new socket. False: this runtime cannot, and 'data' gives all. What was read before comes by 'data'. */
export function readInto(socket: Socket, { buffer, callback }: OnReadOpts): boolean {
  const { _handle: handle } = socket as Socket & { readonly _handle?: ReadingHandle | null };
  if (SLOTS === null || handle?.useUserBuffer === undefined) return false;
  const first = typeof buffer === 'function' ? buffer() : buffer;
  Object.assign(socket, {
    [SLOTS.next]: typeof buffer === 'function' ? buffer : null,
    [SLOTS.callback]: (bytes: number, into: Uint8Array): boolean =>
      socket.isPaused() || socket.readableLength > 0
        ? socket.push(Buffer.from(into.subarray(0, bytes)))
        : callback(bytes, into),
    [SLOTS.buffer]: first,
  });
  handle.useUserBuffer(first);
  return true;
}
