import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { DroppedSecrets } from '../../src/sessions/dropped-secrets.ts';
import { homeSlot, packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Counter, END_REASONS } from '../../src/shared/stripe.ts';
import { Revisions, slotOf } from '../support/revision.ts';

const FIRST = 'first-secret-0123456789abcdef0123';
const SECOND = 'second-secret-0123456789abcdef012';
const THIRD = 'third-secret-0123456789abcdef0123';
const SERVERS = ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'];

class Scene {
  readonly clock = new ManualClock();
  readonly shared = SharedState.create(1, 20_000, this.clock.nowMs());
  readonly #revisions = new Revisions(this.shared);
  revision = this.#next(FIRST);
  readonly #dropped = new DroppedSecrets();
  #made = 0;

  #next(secret: string) {
    return this.#revisions.next(
      { name: 'shop', more: `sticky: { mode: cookie-hash, secret: ${secret} }`, servers: SERVERS },
      { name: 'other', more: `sticky: { mode: cookie-hash, secret: ${FIRST} }`, servers: SERVERS },
    );
  }

  /** Begins sessions on the server of that path. */
  place(path: string, count: number, isTentative = false): void {
    const { table, control } = this.shared;
    const slot = slotOf(this.revision, path);
    for (let made = 0; made < count; made += 1) {
      this.#made += 1;
      const key = this.#made * 7_919;
      table.insert(key, ~key, packHome(slot, control.generation(slot)), this.clock.nowMs(), 1, isTentative);
    }
  }

  /** Shows the sessions of that path again, as their clients do. */
  show(path: string): void {
    const { table } = this.shared;
    for (let entry = 0; entry < table.capacity; entry += 1)
      if (table.isUsed(entry) && homeSlot(table.home(entry)) === slotOf(this.revision, path))
        table.see(entry, this.clock.nowMs());
  }

  /** A minute later. */
  later(): void {
    this.clock.advance(60_000);
  }

  reload(secret: string, beginMs = this.clock.nowMs()): readonly string[] {
    const next = this.#next(secret);
    const said = this.#dropped.end(this.shared, this.revision, next, beginMs, this.clock.nowMs());
    this.revision = next;
    return said;
  }

  left(): number {
    const { table } = this.shared;
    let left = 0;
    for (let entry = 0; entry < table.capacity; entry += 1) left += table.isUsed(entry) ? 1 : 0;
    return left;
  }

  ended(path: string): number {
    const reason = END_REASONS.indexOf('secret');
    return this.shared.sumCounter(slotOf(this.revision, path), Counter.ended + reason);
  }
}

test('a secret that replaces the one before ends the sessions of its pool, counted by their homes and said', () => {
  const scene = new Scene();
  scene.place('shop/a', 3);
  scene.place('shop/b', 2);
  scene.place('shop/b', 4, true);
  scene.place('other/a', 7);
  scene.clock.advance(1_000);
  expect(scene.reload(SECOND)).toEqual([
    'pool shop: sticky.secret changed without the one before: 5 sessions have ended',
  ]);
  expect([scene.ended('shop/a'), scene.ended('shop/b'), scene.ended('other/a')]).toEqual([3, 2, 0]);
  expect(scene.left()).toBe(7);
});

const dropped = (count: number): readonly string[] => [
  `pool shop: sticky.secret has dropped one for reading: ${count} sessions not seen since it was replaced have ended`,
];

test('a secret that is kept for reading ends nothing, whatever its place, and so does the same one', () => {
  const scene = new Scene();
  scene.place('shop/a', 3);
  scene.later();
  for (const secret of [`[${FIRST}, ${SECOND}]`, `[${SECOND}, ${FIRST}]`, `[${SECOND}, ${FIRST}]`])
    expect(scene.reload(secret)).toEqual([]);
  expect(scene.left()).toBe(3);
});

test('one of several that is dropped ends who has not been seen since it was replaced, counted and said', () => {
  const scene = new Scene();
  scene.place('shop/a', 3);
  scene.place('shop/b', 2);
  scene.place('other/b', 4);
  scene.later();
  scene.reload(`[${SECOND}, ${FIRST}]`);
  scene.later();
  scene.show('shop/b');
  scene.place('shop/b', 1);
  scene.place('shop/a', 1, true);
  scene.later();
  expect(scene.reload(SECOND)).toEqual(dropped(3));
  expect([scene.ended('shop/a'), scene.ended('shop/b'), scene.ended('other/b')]).toEqual([3, 0, 0]);
  expect(scene.left()).toBe(8);
  expect(scene.reload(SECOND)).toEqual([]);
});

test('of three the oldest ends only what neither of the others has seen', () => {
  const scene = new Scene();
  scene.place('shop/a', 3);
  scene.place('shop/b', 2);
  scene.later();
  scene.reload(`[${SECOND}, ${FIRST}]`);
  scene.later();
  scene.show('shop/b');
  scene.later();
  scene.reload(`[${THIRD}, ${SECOND}, ${FIRST}]`);
  scene.later();
  expect(scene.reload(`[${THIRD}, ${SECOND}]`)).toEqual(dropped(3));
  expect(scene.reload(THIRD)).toEqual(dropped(2));
  expect(scene.left()).toBe(0);
});

test('a secret that is taken back ends what began under it, and no others', () => {
  const scene = new Scene();
  scene.place('shop/a', 3);
  scene.later();
  scene.reload(`[${SECOND}, ${FIRST}]`);
  scene.later();
  scene.show('shop/a');
  scene.place('shop/b', 2);
  scene.later();
  expect(scene.reload(FIRST)).toEqual(dropped(2));
  expect([scene.ended('shop/a'), scene.ended('shop/b')]).toEqual([0, 2]);
});

test('one that has never been written with ends nothing', () => {
  const scene = new Scene();
  scene.reload(`[${FIRST}, ${SECOND}]`);
  scene.place('shop/a', 3);
  scene.later();
  expect(scene.reload(FIRST)).toEqual(dropped(0));
  expect(scene.left()).toBe(3);
});

test('what is seen within the tenth of a second of the change goes on', () => {
  const scene = new Scene();
  scene.clock.advance(60_050);
  scene.place('shop/a', 3);
  scene.clock.advance(10);
  scene.reload(`[${SECOND}, ${FIRST}]`);
  scene.clock.advance(10);
  scene.show('shop/a');
  scene.later();
  expect(scene.reload(SECOND)).toEqual(dropped(0));
});

test('sessions that began under the new secret, while the threads were told, go on', () => {
  const scene = new Scene();
  scene.place('shop/a', 3);
  scene.clock.advance(1_000);
  const beginMs = scene.clock.nowMs();
  scene.place('shop/a', 2);
  scene.reload(SECOND, beginMs);
  expect([scene.left(), scene.ended('shop/a')]).toEqual([2, 3]);
});
