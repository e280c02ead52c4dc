import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ChangeReceiver, ChangeSender, Message } from '../../../src/run/takeover/session-channel.ts';

const LIMIT_MS = 5_000;

/** Both ends of a line. */
async function line(): Promise<{ readonly receiver: ChangeReceiver; readonly accepted: Socket }> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-line-'));
  const server = createServer();
  onTestFinished(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  const path = join(directory, 'changes');
  server.listen(path);
  await once(server, 'listening');
  const receiver = new ChangeReceiver(path);
  onTestFinished(() => receiver.end());
  const [accepted] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => void accepted.destroy());
  return { receiver, accepted };
}

test('an offer, changes, and both words of the second step arrive in their order', async () => {
  const { receiver, accepted } = await line();
  const sender = new ChangeSender(accepted);
  const offered = sender.send(Message.offer, Buffer.from('offer'));
  expect([await receiver.awaitOffer(LIMIT_MS), receiver.offer?.toString()]).toEqual(['done', 'offer']);
  const listen = receiver.ready(LIMIT_MS);
  expect(await offered).toBe('done');
  expect(await sender.send(Message.changes, Buffer.from('changes'))).toBe('done');
  sender.post(Message.listen);
  expect(await listen).toBe('done');
  const left = receiver.serves(LIMIT_MS);
  expect(await sender.serves(LIMIT_MS)).toBe('done');
  sender.post(Message.left);
  expect(await left).toBe('done');
  sender.end();
  await receiver.over;
});

test('what is told is taken in whole and in order, however it is cut, before telling is over', async () => {
  const { receiver, accepted } = await line();
  const received: Buffer[] = [];
  receiver.applyChanges = async (bytes) => void received.push(Buffer.from(bytes));
  const sender = new ChangeSender(accepted);
  const parts = [Buffer.from('one'), Buffer.alloc(3_000_000, 'two'), Buffer.alloc(0), Buffer.from('four')];
  const told = parts.map((part) => sender.send(Message.changes, part));
  await told[1];
  expect(received.length).toBeGreaterThanOrEqual(2);
  await Promise.all(told);
  expect(received.map((part, index) => part.equals(parts[index] ?? part))).toEqual([true, true, true, true]);
});

test('the changes of a million sessions and a half are taken in at once, not part by part anew', async () => {
  const { receiver, accepted } = await line();
  const lengths: number[] = [];
  receiver.applyChanges = async (bytes) => void lengths.push(bytes.length);
  const joined = vi.spyOn(Buffer, 'concat');
  await new ChangeSender(accepted).send(Message.changes, Buffer.alloc(48_000_000));
  expect(lengths).toEqual([48_000_000]);
  const bytes = joined.mock.results.reduce((sum, { value }) => sum + (value as Buffer).length, 0);
  joined.mockRestore();
  // once where they are sent, once where they are taken in, and the first part of them
  expect(bytes).toBeLessThan(3 * 48_000_000);
});

test('nobody waits for who has gone; who is silent is waited for so long', async () => {
  const { receiver, accepted } = await line();
  const sender = new ChangeSender(accepted);
  expect(await receiver.awaitOffer(1)).toBe('silent');
  expect(await sender.send(Message.changes, Buffer.from('x'), 0)).not.toBe('gone');
  const listen = receiver.ready(LIMIT_MS);
  accepted.destroy();
  expect(await sender.send(Message.changes, Buffer.from('lost'))).toBe('gone');
  expect(await sender.serves(LIMIT_MS)).toBe('gone');
  expect([await listen, receiver.refusal]).toEqual(['gone', null]);
  await receiver.over;
});

test('a refusal says why, and counts also where it comes in one breath with the word to listen', async () => {
  const { receiver, accepted } = await line();
  const sender = new ChangeSender(accepted);
  const listen = receiver.ready(LIMIT_MS);
  sender.post(Message.listen);
  sender.refuse('too late');
  expect([await listen, receiver.refusal]).toEqual(['gone', 'too late']);
});

test('what was said in time counts, though whoever waits for it stood still until the time was over', async () => {
  const { receiver, accepted } = await line();
  const sender = new ChangeSender(accepted);
  const serves = sender.serves(20);
  // written before, read after this thread has stood still for longer than the limit
  void receiver.serves(LIMIT_MS);
  standStill();
  expect(await serves).toBe('done');
  const listen = receiver.ready(20);
  sender.post(Message.listen);
  sender.refuse('too late');
  standStill();
  expect([await listen, receiver.refusal]).toEqual(['gone', 'too late']);
});

function standStill(): void {
  const endMs = performance.now() + 100;
  while (performance.now() < endMs);
}
