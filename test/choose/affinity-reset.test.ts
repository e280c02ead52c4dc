// What is known about one exchange's session is forgotten before the next, by name.

import { expect, test } from 'vitest';
import { Affinity } from '../../src/choose/affinity.ts';

/** Counted by a count beside them, or meaningful with a field that is not. */
const LEFT = [...['shown', 'shownNames', 'said', 'cookie', 'cookieText'], ...['newLow', 'newHigh']];

function spoilt(): Affinity {
  const affinity = new Affinity();
  const values = affinity as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'number') values[name] = value + 77;
    else if (typeof value === 'boolean') values[name] = !value;
    else if (typeof value === 'string') values[name] = `${value}spoilt`;
    else if (value === null) values[name] = 'busy';
  }
  return affinity;
}

/** All that is to be as in a new one. */
function told(affinity: Affinity): object {
  return Object.fromEntries(Object.entries(affinity).filter(([name]) => !LEFT.includes(name)));
}

test('reset leaves nothing of the exchange before', () => {
  const affinity = spoilt();
  const before = told(affinity);
  for (const [name, value] of Object.entries(told(new Affinity())))
    expect([name, before[name as keyof typeof before]]).not.toEqual([name, value]);
  affinity.reset();
  expect(told(affinity)).toEqual(told(new Affinity()));
});

test('one that begins is open, and knows its client', () => {
  const affinity = spoilt();
  affinity.begin('192.0.2.1');
  expect(told(affinity)).toEqual({ ...told(new Affinity()), isOpen: true, clientAddress: '192.0.2.1' });
});

test('of what an answer says eight are kept, in their order', () => {
  const affinity = new Affinity();
  for (let key = 1; key <= 9; key += 1) affinity.say(key, -key);
  expect(affinity.saidCount).toBe(8);
  expect([...affinity.said]).toEqual([1, 2, 3, 4, 5, 6, 7, 8].flatMap((key) => [key, -key]));
});
