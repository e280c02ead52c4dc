import type { LookupAddress } from 'node:dns';
import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { lookupServer, type ServerLookup, serverLookup } from '../../src/base/server-lookup.ts';
import { placeOf } from '../../src/config/address.ts';

type Answer = (error: Error | null, address?: string) => void;

function scene() {
  const scheduler = new ManualScheduler(new ManualClock());
  const looks: { name: string; answer: Answer }[] = [];
  const ask: ServerLookup = (name, _options, found) => {
    looks.push({ name, answer: (error, address = '') => found(error, address, 4) });
  };
  const lookup = serverLookup(ask, scheduler);
  const found: string[] = [];
  const look = (name: string, onFound: () => void = () => undefined, family = 0): void =>
    lookup(name, { family, all: true }, (error, address: string | LookupAddress[]) => {
      found.push(error === null ? `${name} ${String(address)}` : `${name}: ${error.message}`);
      onFound();
    });
  const answer = (...[error, address]: Parameters<Answer>): void => looks.shift()?.answer(error, address);
  const told = async (): Promise<string[]> => {
    await new Promise(setImmediate);
    return found.splice(0);
  };
  return { scheduler, looks, look, answer, told };
}

const AWAY = new Error('nobody answers');

test('what cannot be looked up is where it was last', async () => {
  const { look, answer, told } = scene();
  look('a');
  answer(AWAY);
  look('a');
  answer(null, '10.0.0.1');
  look('a');
  answer(AWAY);
  look('a');
  answer(null, '10.0.0.2');
  look('a');
  answer(AWAY);
  expect(await told()).toEqual(['a: nobody answers', 'a 10.0.0.1', 'a 10.0.0.1', 'a 10.0.0.2', 'a 10.0.0.2']);
  // another name, and the same asked for otherwise, know nothing of it
  look('b');
  answer(AWAY);
  look('a', undefined, 6);
  answer(AWAY);
  expect(await told()).toEqual(['b: nobody answers', 'a: nobody answers']);
});

test('a look that takes long has failed for those who know where it was, and its answer counts from then on', async () => {
  const { scheduler, looks, look, answer, told } = scene();
  look('a');
  scheduler.advance(60_000);
  expect(await told()).toEqual([]);
  answer(null, '10.0.0.1');
  expect(await told()).toEqual(['a 10.0.0.1']);
  look('a');
  scheduler.advance(499);
  expect(await told()).toEqual([]);
  scheduler.advance(1);
  expect(await told()).toEqual(['a 10.0.0.1']);
  look('a');
  expect(await told()).toEqual(['a 10.0.0.1']);
  expect(looks.length).toBe(1);
  answer(null, '10.0.0.2');
  look('a');
  expect(await told()).toEqual([]);
  answer(AWAY);
  expect(await told()).toEqual(['a 10.0.0.2']);
});

test('of one name one look is under way, whoever asks', async () => {
  const { looks, look, answer, told } = scene();
  look('a');
  look('a');
  look('b');
  expect(looks.map(({ name }) => name)).toEqual(['a', 'b']);
  answer(null, '10.0.0.1');
  answer(AWAY);
  expect(await told()).toEqual(['a 10.0.0.1', 'a 10.0.0.1', 'b: nobody answers']);
  // who is told may ask again
  look('b', () => look('b'));
  answer(AWAY);
  answer(null, '10.0.0.3');
  expect(await told()).toEqual(['b: nobody answers', 'b 10.0.0.3']);
});

test('names are forgotten when there are too many', async () => {
  const { look, answer, told } = scene();
  for (let number = 0; number <= 4096; number += 1) {
    look(`name${number}`);
    answer(null, '10.0.0.1');
  }
  await told();
  for (const name of ['name4096', 'name0']) {
    look(name);
    answer(AWAY);
  }
  expect(await told()).toEqual(['name4096 10.0.0.1', 'name0: nobody answers']);
});

test('connections to servers look names up so', () => {
  expect(placeOf({ host: 'app.internal', port: 80, socketPath: null })).toEqual({
    host: 'app.internal',
    port: 80,
    lookup: lookupServer,
  });
});
