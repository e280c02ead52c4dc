// The servers and clients of the soak: each does one thing badly, over and over.

import { createHash } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

/** What a run has seen, by name. */
export type Tally = Map<string, number>;

export function count(tally: Tally, name: string): void {
  tally.set(name, (tally.get(name) ?? 0) + 1);
}

const OK = 'HTTP/1.1 200 OK\r\n';

/** Bytes the bad server answers with, and whether it hangs up after them. */
const ANSWERS: readonly (readonly [string, 'keep' | 'end' | 'reset'])[] = [
  ['', 'reset'],
  ['', 'end'],
  [`${OK}content-le`, 'reset'],
  [`${OK}content-length: 10\r\n\r\nhello`, 'reset'],
  [`${OK}content-length: 10\r\n\r\nhello`, 'end'],
  [`${OK}transfer-encoding: chunked\r\n\r\n9\r\nhello`, 'reset'],
  [`${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz`, 'keep'],
  [`${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, 'keep'],
  [`${OK}content-length: 2\r\n\r\nokSURPLUS`, 'keep'],
  [`${OK}\r\nuntil the end`, 'end'],
  [`${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab`, 'keep'],
  ['garbage\r\n\r\n', 'keep'],
  ['HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n', 'end'],
  ['HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nxyz', 'reset'],
  [`${OK}content-length: 2\r\n\r\nok`, 'end'],
  [`${OK}content-length: 2\r\n\r\nok`, 'reset'],
  ['HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n', 'keep'],
];

/** A server that breaks every rule in turn. */
export function badServer(random: () => number): Server {
  return createServer({ allowHalfOpen: random() < 0.5 }, (socket) => {
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('data', () => {
      const [bytes, then] = ANSWERS[Math.floor(random() * ANSWERS.length)] ?? ['', 'end'];
      const cut = Math.floor(random() * bytes.length);
      socket.write(bytes.slice(0, cut), 'latin1');
      setTimeout(() => {
        socket.write(bytes.slice(cut), 'latin1');
        if (then === 'end') socket.end();
        if (then === 'reset') socket.resetAndDestroy();
      }, random() * 5);
    });
  });
}

/** A server that does well: echoes digests of bodies, streams, opens WebSockets. */
export function goodServer(random: () => number): Server {
  const server = createHttpServer({ keepAliveTimeout: 3000 }, (request, response) => {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const hash = createHash('sha1');
    request.on('data', (part: Buffer) => hash.update(part));
    request.on('end', () => {
      const size = Number(/size=(\d+)/.exec(request.url ?? '')?.[1] ?? 0);
      if (request.url?.startsWith('/events') === true) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        const timer = setInterval(() => response.write('data: x\n\n'), 10);
        response.on('close', () => clearInterval(timer));
      } else if (size > 0) response.end(Buffer.alloc(size, 'x'));
      else setTimeout(() => response.end(hash.digest('hex')), random() < 0.1 ? 20 : 0);
    });
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (client) => {
    client.on('error', () => undefined);
    client.on('message', (data) => (random() < 0.1 ? client.terminate() : client.send(data)));
  });
  return server;
}

/** Resolves with the port. */
export function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

export interface ClientFacts {
  readonly port: number;
  readonly random: () => number;
  readonly tally: Tally;
}

/** What a raw client sends. `{P}` becomes a path on a good or a bad server. */
const REQUESTS: readonly string[] = [
  'GET {P} HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET {P} HTTP/1.1\r\nHost: a\r\n\r\nGET {P} HTTP/1.1\r\nHost: a\r\n\r\nGET {P} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET {P} HTTP/1.0\r\n\r\n',
  'HEAD {P} HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST {P} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'POST {P} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhello',
  'POST {P} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n',
  'POST {P} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloZZ',
  'PUT {P} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello',
  'GET {P} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  'GET {P}?size=2000000 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /good/events HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET {P} HTTP/1.1\r\nHost: a\r\nCookie: holdfast=forged; a=b\r\n\r\n',
  'GET {P} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'BREW {P} HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n',
  '\x16\x03\x01\x02\x00\x01\x00\x01',
  '',
];

/** Sends one of the requests, whole or cut, reads or does not, and leaves in one of the ways there are. */
export function rawAbuse({ port, random, tally }: ClientFacts): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: random() < 0.3 });
    const template = REQUESTS[Math.floor(random() * REQUESTS.length)] ?? '';
    const bytes = template.replaceAll('{P}', () => (random() < 0.5 ? '/good/x' : '/bad/x'));
    const end = random() < 0.3 ? Math.floor(random() * bytes.length) : bytes.length;
    const leaveMs = random() * 100;
    let isFirst = true;
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.on('data', (part: Buffer) => {
      if (isFirst)
        count(tally, `status ${/^HTTP\/1\.1 (\d\d\d)/.exec(part.toString('latin1', 0, 12))?.[1] ?? 'none'}`);
      isFirst = false;
    });
    if (random() < 0.1) socket.pause();
    socket.on('connect', () => {
      const cut = Math.floor(random() * end);
      socket.write(bytes.slice(0, cut), 'latin1');
      setTimeout(() => socket.write(bytes.slice(cut, end), 'latin1'), random() * 3);
    });
    setTimeout(() => {
      const way = random();
      if (way < 0.3) socket.resetAndDestroy();
      else if (way < 0.6) socket.destroy();
      else {
        socket.end();
        setTimeout(() => socket.destroy(), 50);
      }
    }, leaveMs);
  });
}

/** An honest request with a body whose digest must come back: abuse beside it must not disturb it. */
export async function honestUpload({ port, random, tally }: ClientFacts): Promise<void> {
  const body = Buffer.alloc(Math.floor(random() * 300_000), String(random()));
  const answer = await fetch(`http://127.0.0.1:${port}/good/honest`, { method: 'POST', body });
  const expected = createHash('sha1').update(body).digest('hex');
  const text = await answer.text();
  if (answer.status !== 200 || text !== expected) {
    throw new Error(
      `an honest upload of ${body.length} bytes was answered ${answer.status} ${text.slice(0, 200)}`,
    );
  }
  count(tally, 'honest uploads');
}

export function webSocketAbuse({ port, random, tally }: ClientFacts): Promise<void> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/good/ws`);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.on('message', () => count(tally, 'echoes'));
    socket.on('open', () => {
      for (let index = 0; index < 5; index += 1) socket.send('x'.repeat(random() * 20_000));
      setTimeout(() => (random() < 0.5 ? socket.terminate() : socket.close()), random() * 50);
    });
  });
}
