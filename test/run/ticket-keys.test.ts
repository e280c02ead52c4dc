// Keys of TLS session tickets, on a clock of the test's own: how long one lives, and who has the same.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { ListenConfig } from '../../src/config/model.ts';
import { type TicketKey, TicketKeys } from '../../src/run/ticket-keys.ts';

const HOUR_MS = 60 * 60 * 1000;
const LIFE_MS = 12 * HOUR_MS;

interface Scene {
  readonly clock: ManualClock;
  readonly sessionsFile: string;
  readonly warnings: readonly string[];
  /** As a process has them that begins now. */
  process(sessionsFile?: string | null, inherited?: TicketKey | null): TicketKeys;
}

function scene(): Scene {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-tickets-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const clock = new ManualClock();
  const sessionsFile = join(directory, 'sessions');
  const warnings: string[] = [];
  const warn = (_fields: object, message: string): number =>
    warnings.push(message.replaceAll(directory, 'DIR'));
  const log = { debug: () => undefined, info: () => undefined, warn, error: warn };
  const process = (file: string | null = sessionsFile, inherited: TicketKey | null = null): TicketKeys =>
    new TicketKeys(file, inherited, clock, log);
  return { clock, sessionsFile, warnings, process };
}

function listener(address: string): ListenConfig {
  const text = `listen: [${address}]\npools: { web: { servers: [http://127.0.0.1:1] } }\n`;
  const listen = loadConfig(text, { file: 'f.yaml', env: {} }).config?.listen[0];
  if (listen === undefined) throw new Error('no listener');
  return listen;
}

test('a key is used for its life and not longer, and the next takes its place in the file', () => {
  const { clock, sessionsFile, process } = scene();
  const keys = process();
  const first = keys.current;
  clock.advance(LIFE_MS);
  expect([keys.rotate(), keys.current]).toEqual([false, first]);
  clock.advance(1);
  expect(keys.rotate()).toBe(true);
  const second = keys.current;
  expect(second).toEqual({ key: expect.stringMatching(/^[0-9a-f]{64}$/), madeMs: clock.wallMs() });
  expect(second.key).not.toBe(first.key);
  expect(keys.rotate()).toBe(false);
  expect(readFileSync(`${sessionsFile}.tickets`, 'utf8')).toBe(`${second.key} ${second.madeMs}\n`);
});

test('the process after this one has the same key for what is left of its life; one that was made later than now is no more', () => {
  const { clock, process, warnings } = scene();
  const { current } = process();
  clock.advance(LIFE_MS - HOUR_MS);
  const next = process();
  expect(next.current).toEqual(current);
  clock.advance(HOUR_MS + 1);
  expect(next.rotate()).toBe(true);
  // the time was set back
  clock.advance(-HOUR_MS);
  expect(process().current.key).not.toBe(next.current.key);
  expect(next.rotate()).toBe(true);
  expect(warnings).toEqual([]);
});

test('what is inherited counts more than what is kept; without a file each process has its own', () => {
  const { clock, process } = scene();
  process();
  const inherited = { key: 'ab'.repeat(32), madeMs: clock.wallMs() };
  expect(process(undefined, inherited).current).toBe(inherited);
  // whoever comes after that has it too, wherever it was kept before
  expect(process().current).toEqual(inherited);
  expect(process(null).current.key).not.toBe(process(null).current.key);
});

test('a file that holds no key is replaced; one that can be neither read nor written is said, and tickets work all the same', () => {
  const { sessionsFile, process, warnings } = scene();
  writeFileSync(`${sessionsFile}.tickets`, 'nothing of the kind\n');
  const { current } = process();
  expect(process().current).toEqual(current);
  expect(warnings).toEqual([]);
  const nowhere = process(join(sessionsFile, 'sessions'));
  expect(nowhere.current.key).toHaveLength(64);
  expect(warnings).toEqual([
    expect.stringMatching(/^DIR\/sessions\/sessions\.tickets cannot be written, TLS sessions end with/),
  ]);
});

test('threads derive the same from one key; another address, authority, list of the revoked or key gives something else', () => {
  const { clock, process } = scene();
  const material = { version: '1', certificates: [], ca: null, crl: null };
  const keys = process();
  const here = keys.of(listener('127.0.0.1:1'), material);
  expect(here.ticketKeys).toHaveLength(48);
  expect(process().of(listener('127.0.0.1:1'), material)).toEqual(here);
  expect(process().of(listener('127.0.0.1:1'), { ...material, version: '2' })).toEqual(here);
  for (const other of [
    keys.of(listener('127.0.0.1:2'), material),
    keys.of(listener('127.0.0.1:1'), { ...material, ca: 'another' }),
    keys.of(listener('127.0.0.1:1'), { ...material, crl: 'another' }),
  ]) {
    expect(other.sessionContext).not.toBe(here.sessionContext);
    expect(other.ticketKeys).not.toEqual(here.ticketKeys);
  }
  clock.advance(LIFE_MS + 1);
  keys.rotate();
  const later = keys.of(listener('127.0.0.1:1'), material);
  expect(later.sessionContext).toBe(here.sessionContext);
  expect(later.ticketKeys).not.toEqual(here.ticketKeys);
});
