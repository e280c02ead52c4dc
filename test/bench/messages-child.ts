/**
 * Messages over upgraded connections, in a process of its own that can be pinned: `node messages-child.ts JSON`, prints JSON.
 * Each connection sends its next message when the one before has come back whole.
 */
import { connect } from 'node:net';
import type { Target } from './load.ts';
import { HOST } from './scenarios.ts';

const order = JSON.parse(process.argv[2] ?? '{}') as Target & { readonly seconds: number };
const message = Buffer.alloc(order.scenario.sentBytes ?? 1, 'm');
const waits: number[] = [];
let errors = 0;

function converse(visitor: string): void {
  const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true });
  const lines = [
    `GET ${order.scenario.path} HTTP/1.1`,
    `Host: ${HOST}`,
    ...(visitor === '' ? [] : [`Cookie: ${visitor}`]),
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    // of RFC 6455 section 1.3
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let head = '';
  let isOpen = false;
  let left = 0;
  let sentMs = 0;
  const send = (): void => {
    left = message.length;
    sentMs = performance.now();
    socket.write(message);
  };
  socket.on('data', (piece) => {
    if (isOpen) {
      left -= piece.length;
      if (left > 0) return;
      waits.push(performance.now() - sentMs);
      send();
      return;
    }
    head += piece.toString('latin1');
    if (!head.includes('\r\n\r\n')) return;
    isOpen = head.startsWith('HTTP/1.1 101');
    if (isOpen) send();
    else socket.destroy();
  });
  socket.on('error', () => undefined); // 'close' follows
  socket.on('close', () => {
    errors += 1;
  });
}

for (let index = 0; index < order.connections; index += 1)
  converse(order.visitors[index % order.visitors.length] ?? '');

setTimeout(() => {
  const sorted = waits.toSorted((a, b) => a - b);
  const micros = (share: number): number => (sorted[Math.floor(sorted.length * share)] ?? 0) * 1000;
  console.log(
    JSON.stringify({
      requests: sorted.length,
      errors,
      seconds: order.seconds,
      p50Micros: micros(0.5),
      p99Micros: micros(0.99),
    }),
  );
  process.exit(0);
}, order.seconds * 1000);
