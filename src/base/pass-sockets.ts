// Listening sockets, handed from one process to another of the same machine and user (SCM_RIGHTS).
//
// A listening socket that is closed resets what waits in its accept queue and what is in the middle of its handshake.
// One that two processes hold lives on when one of them closes it: nothing is lost, however far away the clients are.
//
// Node can pass sockets, but its public API does so only between a process and a child that it has forked, and a
// supervisor starts our successor, not we. Hence the bindings below node:net and node:child_process
// (`process.binding`, deprecated in the documentation only as DEP0111); nothing else in Holdfast uses them. Where they
// are missing or have changed, passing fails with an error, and the old process goes on as if nothing had been asked.

import { fstatSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { runningScheduler } from './scheduler.ts';

export interface ListeningSocket {
  /** As configured: what both processes call the listener. */
  readonly address: string;
  readonly fd: number;
}

export interface PassedSocket extends ListeningSocket {
  /**
   * Only for a socket that nobody will listen on: the kernel would go on giving it connections. Does nothing where somebody
   * has listened and closed it since, and the number is another's, be that a duplicate of the same socket.
   */
  close(): void;
}

export interface Offer {
  /** Nobody can fetch the sockets any more. */
  close(): void;
}

/** The descriptor of a socket or a listening server, -1 when it is closed or the platform has none. */
export function fdOf(holder: Server | Socket): number {
  const { _handle: handle } = holder as unknown as { readonly _handle: { readonly fd?: number } | null };
  return handle?.fd ?? -1;
}

/** What it is the descriptor of: alike for duplicates. Null when it is closed. */
export function identityOf(fd: number): string | null {
  try {
    const { dev, ino } = fstatSync(fd);
    return `${dev} ${ino}`;
  } catch {
    return null;
  }
}

/**
 * Gives the sockets, listened on by other threads, to whoever connects to the path. Rejects when that cannot be bound or
 * a socket cannot be passed.
 */
export async function offerSockets(path: string, sockets: readonly ListeningSocket[]): Promise<Offer> {
  const { TcpHandle, PipeHandle, WriteRequest } = bindings();
  const handles = sockets.map(({ address, fd }) => {
    // shares the descriptor with the listener's own handle, which alone may close it
    const handle = new TcpHandle(TCP_SERVER);
    check(handle.open(fd), `opening the socket of ${address}`);
    return { address, handle };
  });
  const pipes = new Set<PipeHandle>();
  const give = (accepted: Socket): void => {
    // Only a handle made for it can pass others. The accepted one stays as it is: closing both would close twice.
    const pipe = new PipeHandle(PIPE_IPC);
    if (pipe.open(fdOf(accepted)) !== 0) return;
    pipes.add(pipe);
    pipe.onread = () => {
      if (pipes.delete(pipe)) pipe.close();
    };
    pipe.readStart();
    for (const { address, handle } of handles) pipe.writeUtf8String(new WriteRequest(), address, handle);
  };
  const server = createServer({ pauseOnConnect: true }, give);
  await new Promise<void>((resolve, reject) => {
    // also later, when a connection cannot be accepted: whoever came tries again or gives up
    server.on('error', reject);
    server.listen(path, resolve);
  });
  return {
    close: () => {
      server.close();
      for (const pipe of pipes) pipe.close();
      pipes.clear();
    },
  };
}

/**
 * Fetches `count` sockets from the path. They are not listened on yet. Rejects when there are fewer, or they do not come
 * within FETCH_MS; those that came are closed then, for the kernel would go on giving them connections.
 */
export function fetchSockets(path: string, count: number): Promise<readonly PassedSocket[]> {
  if (count === 0) return Promise.resolve([]);
  const { PipeHandle, PipeConnectRequest } = bindings();
  const pipe = new PipeHandle(PIPE_IPC);
  const sockets: PassedSocket[] = [];
  return new Promise((resolve, reject) => {
    const timer = runningScheduler.after(FETCH_MS, () => fail(`not within ${FETCH_MS} ms`));
    const end = (): void => {
      timer.cancel();
      pipe.close();
    };
    const fail = (why: string): void => {
      end();
      for (const socket of sockets) socket.close();
      reject(new Error(`only ${sockets.length} of ${count} listening sockets came: ${why}`));
    };
    // One read brings what one write has sent: the kernel does not join bytes that came with descriptors.
    pipe.onread = (bytes) => {
      const handle = pipe.pendingHandle ?? null;
      pipe.pendingHandle = null;
      if (bytes === undefined || handle === null) {
        fail(bytes === undefined ? 'the other side has ended' : 'there was no descriptor for one more');
        return;
      }
      // The handle is never read, listened on or closed here: whoever listens on its descriptor owns it.
      const { fd } = handle;
      const identity = identityOf(fd);
      received.set(fd, handle);
      const close = (): void => {
        if (received.get(fd) !== handle || identityOf(fd) !== identity) return;
        received.delete(fd);
        handle.close();
      };
      sockets.push({ address: Buffer.from(bytes).toString(), fd, close });
      if (sockets.length < count) return;
      end();
      resolve(sockets);
    };
    const request = new PipeConnectRequest();
    request.oncomplete = (status) => {
      if (status === 0) pipe.readStart();
      else fail(`${path} cannot be connected to (status ${status})`);
    };
    check(pipe.connect(request, path), `connecting to ${path}`);
  });
}

/** Descriptors of our own for the same sockets: they live on when the listeners are closed. `path` is bound for a moment. */
export async function duplicateSockets(
  path: string,
  sockets: readonly ListeningSocket[],
): Promise<readonly PassedSocket[]> {
  const offer = await offerSockets(path, sockets);
  try {
    return await fetchSockets(path, sockets.length);
  } finally {
    offer.close();
  }
}

/** What came last under each number. A number that came again was closed before, whoever still has it written down. */
const received = new Map<number, Handle>();

const FETCH_MS = 5_000;
const TCP_SERVER = 1;
const PIPE_IPC = 2;

interface Handle {
  readonly fd: number;
  open(fd: number): number;
  close(): void;
}

interface PipeHandle extends Handle {
  pendingHandle: Handle | null;
  /** Without bytes: the other side has ended, or an error. */
  onread: ((bytes: ArrayBuffer | undefined) => void) | null;
  readStart(): number;
  connect(request: PipeConnectRequest, path: string): number;
  writeUtf8String(request: object, text: string, handle: Handle): number;
}

interface PipeConnectRequest {
  oncomplete: ((status: number) => void) | null;
}

interface Bindings {
  readonly TcpHandle: new (type: number) => Handle;
  readonly PipeHandle: new (type: number) => PipeHandle;
  readonly PipeConnectRequest: new () => PipeConnectRequest;
  readonly WriteRequest: new () => object;
}

function bindings(): Bindings {
  const { binding } = process as unknown as { binding(name: string): unknown };
  const { TCP } = binding('tcp_wrap') as { TCP: Bindings['TcpHandle'] };
  const { Pipe, PipeConnectWrap } = binding('pipe_wrap') as {
    Pipe: Bindings['PipeHandle'];
    PipeConnectWrap: Bindings['PipeConnectRequest'];
  };
  const { WriteWrap } = binding('stream_wrap') as { WriteWrap: Bindings['WriteRequest'] };
  return { TcpHandle: TCP, PipeHandle: Pipe, PipeConnectRequest: PipeConnectWrap, WriteRequest: WriteWrap };
}

function check(status: number, what: string): void {
  if (status !== 0) throw new Error(`${what} failed (status ${status})`);
}
