/**
 * Many idle browsers in one process: `node memory-clients.ts PORT COUNT`.
 *
 * Opens COUNT connections and prints `opened N`. On a line on standard input it sends one whole request on each,
 * reads the reply, keeps the connection and prints `answered N`. Ends when standard input ends.
 */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { requestBytes, SCENARIOS } from './scenarios.ts';

const AT_ONCE_MAX = 20;

const port = Number(process.argv[2]);
const count = Number(process.argv[3]);
const request = requestBytes(SCENARIOS[0]!, '');
const sockets: Socket[] = [];

await inTurns(count, open);
console.log(`opened ${sockets.length}`);
for await (const _ of createInterface({ input: process.stdin })) {
  let answered = 0;
  await inTurns(sockets.length, async (index) => {
    if (await exchange(sockets[index]!)) answered++;
  });
  console.log(`answered ${answered}`);
}
process.exit(0);

function open(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => resolve());
    socket.once('connect', () => {
      sockets.push(socket);
      resolve();
    });
  });
}

/** True when a whole 200 reply came. Replies here carry a Content-Length or end in the last chunk. */
function exchange(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    let text = '';
    const finish = (isAnswered: boolean): void => {
      socket.off('data', onData);
      socket.off('close', onClose);
      resolve(isAnswered);
    };
    const onClose = (): void => finish(false);
    const onData = (piece: Buffer): void => {
      text += piece.toString('latin1');
      if (isWhole(text)) finish(text.startsWith('HTTP/1.1 200'));
    };
    socket.on('data', onData);
    socket.once('close', onClose);
    socket.write(request);
  });
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end + 2))?.[1];
  return length === undefined ? text.endsWith('0\r\n\r\n') : text.length >= end + 4 + Number(length);
}

async function inTurns(total: number, step: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < total) await step(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE_MAX }, worker));
}
