import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ChangesTeller, hearChanges } from '../../src/run/changes-line.ts';

const LIMIT_MS = 5_000;

/** A path where somebody listens, and what connects there first. */
async function line(): Promise<{ readonly path: string; readonly accepted: Promise<Socket> }> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-line-'));
  const server = createServer();
  onTestFinished(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  const path = join(directory, 'changes');
  server.listen(path);
  await once(server, 'listening');
  return { path, accepted: once(server, 'connection').then(([socket]) => socket as Socket) };
}

test('what is told is taken in whole and in order, however it is cut, before telling is over', async () => {
  const { path, accepted } = await line();
  const heard: Buffer[] = [];
  const hearer = hearChanges(path, LIMIT_MS, async (bytes) => void heard.push(Buffer.from(bytes)));
  const teller = new ChangesTeller(await accepted);
  const parts = [Buffer.from('one'), Buffer.alloc(3_000_000, 'two'), Buffer.alloc(0), Buffer.from('four')];
  const told = parts.map((part) => teller.tell(part));
  expect(await hearer.first).toBe('taken-in');
  await told[1];
  expect(heard.length).toBeGreaterThanOrEqual(2);
  await Promise.all(told);
  expect(heard.map((part, index) => part.equals(parts[index] ?? part))).toEqual([true, true, true, true]);
  teller.end();
  await hearer.over;
});

test('the changes of a million sessions and a half are taken in at once, not part by part anew', async () => {
  const { path, accepted } = await line();
  const lengths: number[] = [];
  const hearer = hearChanges(path, LIMIT_MS, async (bytes) => void lengths.push(bytes.length));
  const teller = new ChangesTeller(await accepted);
  await teller.tell(Buffer.alloc(48_000_000));
  expect(lengths).toEqual([48_000_000]);
  teller.end();
  await hearer.over;
}, 5_000);

test('a teller waits for nobody who has gone, a hearer learns that the other end has gone or is silent', async () => {
  const { path, accepted } = await line();
  const hearer = hearChanges(path, LIMIT_MS, async () => {
    throw new Error('nothing was told');
  });
  const socket = await accepted;
  const teller = new ChangesTeller(socket);
  socket.pause();
  socket.destroy();
  await teller.tell(Buffer.from('lost'));
  expect(await hearer.first).toBe('closed');
  await hearer.over;
  expect(await hearChanges(`${path}-nobody`, LIMIT_MS, async () => undefined).first).toBe('closed');

  const other = await line();
  const silent = hearChanges(other.path, 1, async () => undefined);
  expect(await silent.first).toBe('silence');
  (await other.accepted).destroy();
  await silent.over;
});
