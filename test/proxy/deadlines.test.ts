// The list of deadlines: only what is due fires, and an owner that has left leaves the others alone.

import { expect, test } from 'vitest';
import { ManualClock, TurnClock } from '../../src/base/clock.ts';
import { type DeadlineOwner, Deadlines, NEVER } from '../../src/proxy/deadlines.ts';

class Owner implements DeadlineOwner {
  deadlineMs = NEVER;
  deadlineIndex = -1;
  readonly #name: string;
  readonly #fired: string[];
  /** Done when it fires, before it has no deadline any more. */
  then: () => void = () => undefined;

  constructor(name: string, fired: string[]) {
    this.#name = name;
    this.#fired = fired;
  }

  onDeadline(): void {
    this.deadlineMs = NEVER;
    this.#fired.push(this.#name);
    this.then();
  }
}

function scene() {
  const clock = new ManualClock();
  const deadlines = new Deadlines(new TurnClock(clock), () => undefined);
  const fired: string[] = [];
  const owners = [...'abcd'].map((name) => new Owner(name, fired));
  for (const owner of owners) deadlines.add(owner);
  const [a, b, c, d] = owners as [Owner, Owner, Owner, Owner];
  const pass = (ms: number): void => {
    clock.advance(ms);
    deadlines.walk();
  };
  return { deadlines, fired, pass, now: () => clock.nowMs(), a, b, c, d };
}

test('what is due fires once, at its time', () => {
  const { fired, pass, now, a, c } = scene();
  [a.deadlineMs, c.deadlineMs] = [now() + 100, now() + 200];
  pass(99);
  expect(fired).toEqual([]);
  pass(1);
  pass(50);
  expect(fired).toEqual(['a']);
  pass(50);
  pass(1000);
  expect(fired).toEqual(['a', 'c']);
});

test('removed twice, an owner does not take the place of another with it', () => {
  const { deadlines, fired, pass, now, a, b, c, d } = scene();
  deadlines.remove(a);
  deadlines.remove(a);
  expect(deadlines.count).toBe(3);
  for (const owner of [a, b, c, d]) owner.deadlineMs = now() + 1;
  pass(1);
  expect(fired.sort()).toEqual(['b', 'c', 'd']);
  for (const owner of [d, b, c]) deadlines.remove(owner);
  expect(deadlines.count).toBe(0);
});

test('owners that one which fires removes, itself among them, do not fire; the others do', () => {
  const { deadlines, fired, pass, now, a, b, c, d } = scene();
  for (const owner of [a, b, c, d]) owner.deadlineMs = now() + 1;
  d.then = () => {
    deadlines.remove(d);
    deadlines.remove(b);
  };
  pass(1);
  expect(fired.sort()).toEqual(['a', 'c', 'd']);
  pass(1);
  expect([fired.length, deadlines.count]).toEqual([3, 2]);
});
