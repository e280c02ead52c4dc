// Tickets that mean nothing: nobody is believed to have ended by them.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { certificateEndMs } from '../../src/tls/tickets.ts';
import { seeds } from '../support/seeds.ts';

const KEY_BYTES = 48;
const NAME_BYTES = 16;
const LONGEST = 400;

test.each(seeds(20))('bytes by chance, under our name, seed %i', (seed) => {
  const random = new SeededRandom(seed);
  const bytes = (count: number): Buffer =>
    Buffer.from(Array.from({ length: count }, () => Math.floor(random.next() * 256)));
  const keys = bytes(KEY_BYTES);
  for (let length = 0; length < LONGEST; length += 1) {
    const ticket = bytes(length);
    keys.copy(ticket, 0, 0, NAME_BYTES);
    expect(certificateEndMs(ticket, keys)).toBe(null);
  }
});
