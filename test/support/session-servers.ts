// Servers with log-in sessions in their own memory, cheap enough for many thousand requests: raw sockets, no bodies
// read. They are what "sticky" is for: a session is known to the server that made it and to no other.
//
//   POST …/login    a new session: Set-Cookie connect.sid and header x-session-id carry its id
//   anything else   200 when the request shows a known id (cookie or header, the header first), 401 otherwise
//
// Every reply names the server in x-served-by. /healthz is 200, or what `health` says.

import type { Socket } from 'node:net';
import { type Backend, tcpBackend } from './backend.ts';

export interface SessionServer extends Backend {
  readonly name: string;
  readonly sessions: Set<string>;
  /** Requests other than health checks. */
  requests: number;
  checks: number;
  /** Status of /healthz. */
  health: number;
  /** Called for each request but health checks, before it is answered; return a promise to delay the reply. */
  hold: ((target: string) => Promise<void>) | null;
}

let serial = 0;

/** `port` 0: the kernel chooses. Closed when the test ends. */
export async function sessionServer(name: string, port = 0): Promise<SessionServer> {
  const server: Omit<SessionServer, keyof Backend> = {
    name,
    sessions: new Set(),
    requests: 0,
    checks: 0,
    health: 200,
    hold: null,
  };
  const backend = await tcpBackend((socket) => serve(server as SessionServer, socket), port);
  return Object.assign(server, backend);
}

/** Servers named a, b, c, … */
export function sessionServers(count: number): Promise<SessionServer[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => sessionServer('abcdefgh'.charAt(index))));
}

/** YAML of the pool's `servers` list, indented by six. `more`: further keys by server name. */
export function serversYaml(
  servers: readonly { readonly name: string; readonly url: string }[],
  more: Readonly<Record<string, string>> = {},
): string {
  return servers
    .map(
      ({ name, url }) =>
        `      - { name: ${name}, url: "${url}"${more[name] === undefined ? '' : `, ${more[name]}`} }`,
    )
    .join('\n');
}

function serve(server: SessionServer, socket: Socket): void {
  let received = '';
  socket.setNoDelay(true).setEncoding('latin1');
  socket.on('error', () => undefined);
  socket.on('end', () => socket.end());
  socket.on('data', (text) => {
    received += text;
    for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
      const head = received.slice(0, end + 2);
      received = received.slice(end + 4);
      const target = head.slice(head.indexOf(' ') + 1, head.indexOf(' HTTP/1.'));
      if (target.endsWith('/healthz')) {
        server.checks += 1;
        socket.write(reply(server, server.health, ''));
        continue;
      }
      server.requests += 1;
      if (server.hold === null) socket.write(answer(server, head, target));
      else void server.hold(target).then(() => socket.write(answer(server, head, target)));
    }
  });
}

function answer(server: SessionServer, head: string, target: string): string {
  if (target.endsWith('/login')) {
    serial += 1;
    const id = `${server.name}${serial}x${(serial * 2654435761) % 4294967296}`;
    server.sessions.add(id);
    return reply(server, 200, `set-cookie: connect.sid=${id}; Path=/; HttpOnly\r\nx-session-id: ${id}\r\n`);
  }
  if (target.endsWith('/logout')) {
    const id = sessionIdOf(head);
    if (id !== null) server.sessions.delete(id);
    return reply(server, 200, 'set-cookie: connect.sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT\r\n');
  }
  const id = sessionIdOf(head);
  return reply(server, id !== null && server.sessions.has(id) ? 200 : 401, '');
}

function sessionIdOf(head: string): string | null {
  return /^x-session-id: (\S+)\r$/im.exec(head)?.[1] ?? /[ ;]connect\.sid=([^;\s]+)/.exec(head)?.[1] ?? null;
}

function reply(server: SessionServer, status: number, lines: string): string {
  return `HTTP/1.1 ${status} x\r\nx-served-by: ${server.name}\r\ncontent-length: 0\r\n${lines}\r\n`;
}
