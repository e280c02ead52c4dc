// Servers that speak HTTP/2: node:http2's, and one that sends whatever frames a test wants.

import {
  createSecureServer,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { type Backend, tcpBackend } from './backend.ts';
import { eventually } from './eventually.ts';
import { type Frame, FrameBuffer, frame, PREFACE, Type } from './http2-peer.ts';
import { whenDone } from './lifetime.ts';

export interface Http2Backend {
  readonly url: string;
  readonly server: Http2Server;
  readonly sessions: Set<ServerHttp2Session>;
  /** Connections so far. */
  connections(): number;
}

interface TlsOptions {
  readonly cert: string;
  readonly key: string;
  readonly allowHTTP1?: boolean;
  readonly ALPNCallback?: (offered: { readonly protocols: readonly string[] }) => string | undefined;
}

export type OnStream = (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void;

/** `tls`: certificate and key, and whatever else; absent: in the clear, by prior knowledge. */
export async function http2Backend(
  onStream: OnStream = echoStream,
  options: ServerOptions = {},
  tls: TlsOptions | null = null,
): Promise<Http2Backend> {
  const server: Http2Server =
    tls === null
      ? createServer(options)
      : (createSecureServer({ ...options, ...tls }) as unknown as Http2Server);
  const sessions = new Set<ServerHttp2Session>();
  let connections = 0;
  server.on('session', (session) => {
    connections += 1;
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    onStream(stream, headers);
  });
  server.on('sessionError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http${tls === null ? '' : 's'}://127.0.0.1:${port}`,
    server,
    sessions,
    connections: () => connections,
  };
}

/** JSON of what arrived. */
export function echoStream(stream: ServerHttp2Stream, headers: Record<string, unknown>): void {
  const parts: Buffer[] = [];
  let trailers: Record<string, unknown> | null = null;
  stream.on('trailers', (fields) => {
    trailers = { ...fields };
  });
  stream.on('data', (part: Buffer) => parts.push(part));
  stream.on('end', () => {
    const body = Buffer.concat(parts).toString('latin1');
    if (stream.destroyed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/json' });
    stream.end(JSON.stringify({ headers, body, trailers }));
  });
}

/** What one connection to a scripted server has sent, and the way back. */
export class ScriptedConnection {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  readonly #buffer = new FrameBuffer();
  #prefaceLeft = PREFACE.length;

  constructor(socket: Socket, onFrame: (frame: Frame, connection: ScriptedConnection) => void) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      const skipped = Math.min(this.#prefaceLeft, chunk.length);
      this.#prefaceLeft -= skipped;
      for (const each of this.#buffer.add(chunk.subarray(skipped))) {
        this.frames.push(each);
        onFrame(each, this);
      }
    });
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  of(type: number, stream?: number): readonly Frame[] {
    return this.frames.filter((each) => each.type === type && (stream ?? each.stream) === each.stream);
  }
}

export interface ScriptedServer extends Backend {
  readonly open: readonly ScriptedConnection[];
  /** The connection of that number, once it is there and that is so. */
  until(
    condition: (connection: ScriptedConnection) => boolean,
    what: string,
    index?: number,
  ): Promise<ScriptedConnection>;
}

/** Sends SETTINGS with these values at once, and does what `onFrame` does. */
export async function scriptedServer(
  onFrame: (frame: Frame, connection: ScriptedConnection) => void,
  settings: Buffer | null = Buffer.alloc(0),
): Promise<ScriptedServer> {
  const open: ScriptedConnection[] = [];
  const backend = await tcpBackend((socket) => {
    const connection = new ScriptedConnection(socket, onFrame);
    open.push(connection);
    if (settings !== null) connection.send(frame(Type.settings, 0, 0, settings));
  });
  const until: ScriptedServer['until'] = async (condition, what, index = 0) => {
    await eventually(() => open[index] !== undefined && condition(open[index]), {
      what: () =>
        `${what}; frames ${JSON.stringify(open.map(({ frames }) => frames.map(({ type, stream }) => [type, stream])))}`,
    });
    return open[index] as ScriptedConnection;
  };
  return { ...backend, open, until };
}
