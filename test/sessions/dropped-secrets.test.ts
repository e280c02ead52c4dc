import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { endUnreadable } from '../../src/sessions/dropped-secrets.ts';
import { packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Counter, END_REASONS } from '../../src/shared/stripe.ts';
import { Revisions, slotOf } from '../support/revision.ts';

const FIRST = 'first-secret-0123456789abcdef0123';
const SECOND = 'second-secret-0123456789abcdef012';
const SERVERS = ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'];

class Scene {
  readonly clock = new ManualClock();
  readonly shared = SharedState.create(1, 20_000, this.clock.nowMs());
  readonly #revisions = new Revisions(this.shared);
  revision = this.#next(FIRST);
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

  reload(secret: string, beforeMs = this.clock.nowMs()): readonly string[] {
    const next = this.#next(secret);
    const said = endUnreadable(this.shared, this.revision, next, beforeMs);
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

test('a secret that is kept for reading ends nothing, whatever its place, and so does the same one', () => {
  const scene = new Scene();
  scene.place('shop/a', 3);
  scene.clock.advance(1_000);
  expect(scene.reload(`[${SECOND}, ${FIRST}]`)).toEqual([]);
  expect(scene.reload(SECOND)).toEqual([
    'pool shop: sticky.secret has dropped one for reading: sessions not seen since it was replaced end',
  ]);
  expect(scene.reload(SECOND)).toEqual([]);
  expect(scene.left()).toBe(3);
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
