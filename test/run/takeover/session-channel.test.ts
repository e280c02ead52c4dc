import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ChangesHearer, ChangesTeller, Told } from '../../../src/run/takeover/session-channel.ts';

const LIMIT_MS = 5_000;

/** Both ends of a line. */
async function line(): Promise<{ readonly hearer: ChangesHearer; readonly accepted: Socket }> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-line-'));
  const server = createServer();
  onTestFinished(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });
  const path = join(directory, 'changes');
  server.listen(path);
  await once(server, 'listening');
  const hearer = new ChangesHearer(path);
  onTestFinished(() => hearer.end());
  const [accepted] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => void accepted.destroy());
  return { hearer, accepted };
}

test('an offer, changes, and both words of the second step arrive in their order', async () => {
  const { hearer, accepted } = await line();
  const teller = new ChangesTeller(accepted);
  const offered = teller.tell(Told.offer, Buffer.from('offer'));
  expect([await hearer.asked(LIMIT_MS), hearer.offer?.toString()]).toEqual(['done', 'offer']);
  const listen = hearer.ready(LIMIT_MS);
  expect(await offered).toBe('done');
  expect(await teller.tell(Told.changes, Buffer.from('changes'))).toBe('done');
  teller.say(Told.listen);
  expect(await listen).toBe('done');
  const left = hearer.serves(LIMIT_MS);
  expect(await teller.serves(LIMIT_MS)).toBe('done');
  teller.say(Told.left);
  expect(await left).toBe('done');
  teller.end();
  await hearer.over;
});

test('what is told is taken in whole and in order, however it is cut, before telling is over', async () => {
  const { hearer, accepted } = await line();
  const heard: Buffer[] = [];
  hearer.takeIn = async (bytes) => void heard.push(Buffer.from(bytes));
  const teller = new ChangesTeller(accepted);
  const parts = [Buffer.from('one'), Buffer.alloc(3_000_000, 'two'), Buffer.alloc(0), Buffer.from('four')];
  const told = parts.map((part) => teller.tell(Told.changes, part));
  await told[1];
  expect(heard.length).toBeGreaterThanOrEqual(2);
  await Promise.all(told);
  expect(heard.map((part, index) => part.equals(parts[index] ?? part))).toEqual([true, true, true, true]);
});

test('the changes of a million sessions and a half are taken in at once, not part by part anew', async () => {
  const { hearer, accepted } = await line();
  const lengths: number[] = [];
  hearer.takeIn = async (bytes) => void lengths.push(bytes.length);
  const before = process.threadCpuUsage();
  await new ChangesTeller(accepted).tell(Told.changes, Buffer.alloc(48_000_000));
  expect(lengths).toEqual([48_000_000]);
  const { user, system } = process.threadCpuUsage(before);
  expect(user + system).toBeLessThan(1_500_000);
});

test('nobody waits for who has gone; who is silent is waited for so long', async () => {
  const { hearer, accepted } = await line();
  const teller = new ChangesTeller(accepted);
  expect(await hearer.asked(1)).toBe('silent');
  expect(await teller.tell(Told.changes, Buffer.from('x'), 0)).not.toBe('gone');
  const listen = hearer.ready(LIMIT_MS);
  accepted.destroy();
  expect(await teller.tell(Told.changes, Buffer.from('lost'))).toBe('gone');
  expect(await teller.serves(LIMIT_MS)).toBe('gone');
  expect([await listen, hearer.refusal]).toEqual(['gone', null]);
  await hearer.over;
});

test('a refusal says why, and counts also where it comes in one breath with the word to listen', async () => {
  const { hearer, accepted } = await line();
  const teller = new ChangesTeller(accepted);
  const listen = hearer.ready(LIMIT_MS);
  teller.say(Told.listen);
  teller.refuse('too late');
  expect([await listen, hearer.refusal]).toEqual(['gone', 'too late']);
});

test('what was said in time counts, though whoever waits for it stood still until the time was over', async () => {
  const { hearer, accepted } = await line();
  const teller = new ChangesTeller(accepted);
  const serves = teller.serves(20);
  // written before, read after this thread has stood still for longer than the limit
  void hearer.serves(LIMIT_MS);
  standStill();
  expect(await serves).toBe('done');
  const listen = hearer.ready(20);
  teller.say(Told.listen);
  teller.refuse('too late');
  standStill();
  expect([await listen, hearer.refusal]).toEqual(['gone', 'too late']);
});

function standStill(): void {
  const endMs = performance.now() + 100;
  while (performance.now() < endMs);
}
