/**
 * A backend that costs almost nothing: whole replies prepared before the first request, straight on node:net.
 *
 * `/large` is 100 KB, `/generate/BYTES` is that many bytes made while they are sent, all else is the small reply.
 * Started as a process of its own (`node canned-backend.ts NAME`); prints `listening on http://ADDRESS:PORT`.
 * It knows GET without a body, which is all the load generators send.
 */
import { createServer, type Socket } from 'node:net';
import { LARGE_BODY_BYTES, SMALL_BODY_BYTES } from './scenarios.ts';

const HEAD_CHARS_MAX = 64 * 1024;
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
  socket.on('error', () => socket.destroy());
  socket.on('data', (piece) => {
    pending += piece.toString('latin1');
    for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
      const path = pending.slice(0, pending.indexOf('\r\n')).split(' ')[1] ?? '/';
      pending = pending.slice(end + 4);
      answer(socket, path);
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
