/**
 * A backend that costs almost nothing: whole replies prepared before the first request, straight on node:net.
 *
 * `/large` is 100 KB, `/generate/BYTES` is that many bytes made while they are sent, all else is the small reply.
 * Started as a process of its own (`node canned-backend.ts NAME`); prints `listening on http://ADDRESS:PORT`.
 * Bodies are taken and thrown away; after an upgrade everything comes back as it was sent.
 */
import { createServer, type Socket } from 'node:net';
import { LARGE_BODY_BYTES, SMALL_BODY_BYTES } from './scenarios.ts';

const HEAD_CHARS_MAX = 64 * 1024;
/** To the key of RFC 6455 section 1.3, which is all that our clients send. */
const UPGRADED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n';
const CHUNK = Buffer.alloc(64 * 1024, 'holdfast');

const name = process.argv[2] ?? 'a';
const small = Buffer.concat([head(SMALL_BODY_BYTES), Buffer.alloc(SMALL_BODY_BYTES, 's')]);
const large = Buffer.concat([head(LARGE_BODY_BYTES), Buffer.alloc(LARGE_BODY_BYTES, 'l')]);

const server = createServer({ noDelay: true }, serve);
server.listen(0, '127.0.0.1', 4096, () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') {
    console.log(`listening on http://127.0.0.1:${address.port}`);
  }
});

function head(bodyBytes: number): Buffer {
  const lines = [
    'HTTP/1.1 200 OK',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${bodyBytes}`,
    'Cache-Control: private, max-age=0',
    'Vary: Accept-Encoding',
    'X-Content-Type-Options: nosniff',
    `X-Backend: ${name}`,
    'Connection: keep-alive',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

function serve(socket: Socket): void {
  let pending = '';
  /** Of the body of the request for `path`, in bytes. */
  let owed = 0;
  let path = '';
  let isEcho = false;
  const takeBody = (): void => {
    const taken = Math.min(owed, pending.length);
    pending = pending.slice(taken);
    owed -= taken;
    if (owed === 0) answer(socket, path);
  };
  socket.on('error', () => socket.destroy());
  socket.on('data', (piece) => {
    if (isEcho) {
      socket.write(piece);
      return;
    }
    pending += piece.toString('latin1');
    if (owed > 0) takeBody();
    for (let end = pending.indexOf('\r\n\r\n'); end >= 0 && owed === 0; end = pending.indexOf('\r\n\r\n')) {
      const head = pending.slice(0, end);
      pending = pending.slice(end + 4);
      path = head.split(' ', 2)[1] ?? '/';
      owed = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
      isEcho = /^upgrade:/im.test(head);
      if (isEcho) {
        socket.write(`${UPGRADED}${pending}`, 'latin1');
        return;
      }
      takeBody();
    }
    if (pending.length > HEAD_CHARS_MAX) socket.destroy();
  });
}

function answer(socket: Socket, path: string): void {
  if (path.startsWith('/large')) socket.write(large);
  else if (path.startsWith('/generate/')) generate(socket, Number(path.slice('/generate/'.length)));
  else socket.write(small);
}

/** Writes until the socket is full, goes on when it has drained: never more than one chunk waits in memory. */
function generate(socket: Socket, bytes: number): void {
  let left = Number.isSafeInteger(bytes) && bytes > 0 ? bytes : 0;
  socket.write(head(left));
  const pump = (): void => {
    while (left > 0 && !socket.destroyed) {
      const piece = left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left);
      left -= piece.length;
      if (!socket.write(piece)) break;
    }
    if (left === 0) socket.off('drain', pump);
  };
  socket.on('drain', pump);
  pump();
}
