// Stands between the two processes of a takeover and sees each message before the other does, to do something just then.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { whenDone } from './lifetime.ts';

/** In their order; `asked` is the connection. */
export const MESSAGES = [
  'asked',
  'offer',
  'ready',
  'changes',
  'taken in',
  'listen',
  'serves',
  'left',
] as const;
export type Message = (typeof MESSAGES)[number];

const FROM_OLD: Readonly<Record<number, Message>> = { 1: 'offer', 2: 'changes', 3: 'listen', 4: 'left' };

export interface Relay {
  /** For `--takeover`. */
  readonly url: string;
  readonly seen: readonly Message[];
}

/** `onMessage` is called before the message is passed on, which waits for what it returns. */
export async function takeoverRelay(
  adminUrl: string,
  onMessage: (message: Message) => Promise<void> | undefined,
): Promise<Relay> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-relay-'));
  const seen: Message[] = [];
  const pass = async (message: Message): Promise<void> => {
    if (seen.includes(message)) return;
    seen.push(message);
    await onMessage(message);
  };
  let place = '';
  const sockets = new Set<Socket>();
  const door = createServer((near) => {
    const far = connect(join(place, 'changes'));
    for (const socket of [near, far]) sockets.add(socket.on('error', () => undefined));
    far.on('close', () => near.end());
    near.on('close', () => far.destroy());
    let answers = 0;
    let toOld = pass('asked');
    near.on('data', (bytes: Buffer) => {
      for (const byte of bytes) {
        const done = answers === 0 ? 'ready' : 'taken in';
        if (byte === 1) answers += 1;
        toOld = toOld
          .then(() => pass(byte === 2 ? 'serves' : done))
          .then(() => void far.write(Buffer.of(byte)));
      }
    });
    let toNew = toOld;
    let rest = Buffer.alloc(0);
    far.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      while (rest.length > 4 && rest.length >= 4 + rest.readUInt32LE(0)) {
        const frame = rest.subarray(0, 4 + rest.readUInt32LE(0));
        rest = rest.subarray(frame.length);
        const message = FROM_OLD[frame.readUInt8(4)];
        toNew = toNew
          .then(() => (message === undefined ? undefined : pass(message)))
          .then(() => void near.write(frame));
      }
    });
  });
  await new Promise<void>((resolve) => door.listen(join(directory, 'changes'), resolve));
  const admin = createHttpServer(async (request, response) => {
    const answer = await fetch(`${adminUrl}${request.url ?? ''}`, {
      method: request.method ?? 'GET',
      headers: { 'content-type': 'application/json' },
    }).catch(() => null);
    if (answer === null) {
      request.socket.destroy();
      return;
    }
    const type = answer.headers.get('content-type') ?? '';
    const text = await answer.text();
    const offered = type.includes('json')
      ? (JSON.parse(text) as { directory?: string }).directory
      : undefined;
    if (offered !== undefined) place = offered;
    response.writeHead(answer.status, { 'content-type': type });
    response.end(offered === undefined ? text : JSON.stringify({ directory }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => admin.once('listening', resolve));
  whenDone(() => {
    for (const socket of sockets) socket.destroy();
    door.close();
    admin.close();
    admin.closeAllConnections();
    rmSync(directory, { recursive: true, force: true });
  });
  return { url: `http://127.0.0.1:${(admin.address() as AddressInfo).port}`, seen };
}
