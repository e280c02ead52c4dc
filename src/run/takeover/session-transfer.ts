// What goes over of sessions from one process to the next, on either side: the whole table at first, then what has changed.

import { systemClock } from '../../base/clock.ts';
import type { ControlPlane } from '../../control/control-plane.ts';
import { newSettings, operatorSettings } from '../../control/saved-state.ts';
import { SessionChanges } from '../../sessions/changes.ts';
import type { HeldPlaces, SessionRecords } from '../../sessions/records.ts';
import { decodeSessions, keysOf, restoreSessions, saveSessions } from '../../sessions/store.ts';
import type { Revision } from '../../shared/revision.ts';
import { homeSlot } from '../../shared/session-table.ts';
import type { SharedState } from '../../shared/shared-state.ts';
import { Gauge } from '../../shared/stripe.ts';
import { Inherited } from './inherited.ts';

export class SessionTransfer {
  readonly #control: ControlPlane;
  readonly #inherited: Inherited;
  /** From when on this process serves: sessions seen since are its own. */
  #servesFromMs = Number.POSITIVE_INFINITY;
  /** Passes changes on to a successor; null until there is one. */
  onApplied: ((keys: readonly number[]) => Promise<void>) | null = null;

  constructor(control: ControlPlane) {
    this.#control = control;
    this.#inherited = new Inherited(control.shared, systemClock);
  }

  /** This process serves from now on. */
  beginToServe(): void {
    this.#servesFromMs = systemClock.nowMs();
  }

  /** The predecessor goes on for a while, and is heard of: from now on it counts as gone when it is not. */
  inherit(): void {
    this.#inherited.renew();
  }

  /** Resolves when the predecessor has not been heard of for long, or `end` was called. */
  get isOver(): Promise<void> {
    return this.#inherited.over;
  }

  /** What the predecessor has in use is in use no more: it has ended, or we have. */
  end(): void {
    this.#inherited.end();
  }

  /** Notes how the sessions are now, for what `encode` says later. */
  watch(): SessionChanges {
    return new SessionChanges(this.#control.shared.table, systemClock);
  }

  /**
   * For another process's `apply`, with what the operator has set and the places that are held. These are read before the
   * sessions are: a place is given back when its session counts.
   */
  encode(tell: (revision: Revision) => SessionRecords): Buffer {
    const { shared, revision, slots } = this.#control;
    const places = heldPlaces(revision, shared);
    return tell(revision).encode(operatorSettings(slots), undefined, places);
  }

  /** Throws when they cannot be saved. */
  saveTo(file: string): void {
    const { shared, revision, slots, discovery, log } = this.#control;
    const operator = operatorSettings(slots);
    const result = saveSessions(file, shared.table, revision, operator, systemClock, discovery.kept());
    if (result.kind === 'failed') throw new Error(`saving the sessions: ${result.message}`);
    log.debug({ file, sessions: result.sessions }, 'sessions saved');
  }

  /**
   * Changes that the predecessor has told. Sessions that this process has served already are left alone. Rejects when they
   * cannot be taken in, which is logged.
   */
  async apply(bytes: Buffer): Promise<void> {
    try {
      await this.#apply(bytes);
    } catch (error) {
      this.#control.log.error(
        {},
        `what the old process tells cannot be taken in: ${(error as Error).message}`,
      );
      throw error;
    }
  }

  async #apply(bytes: Buffer): Promise<void> {
    const control = this.#control;
    const stored = decodeSessions(bytes);
    if (stored.kind === 'damaged') throw new Error(stored.message);
    if (this.#servesFromMs === Number.POSITIVE_INFINITY) {
      for (const { pool, server, ...change } of newSettings(stored.operator, control.slots))
        control.changeServer(pool, server, change, 'the process before');
    }
    this.#inherited.renew();
    const { shared, revision } = control;
    // counted before its place is given back: who is full is full all the while
    restoreSessions(stored.contents, shared.table, revision, systemClock, {
      ownFromMs: this.#servesFromMs,
      onBegun: (home) => shared.own.addEntry(homeSlot(home), 1),
    });
    this.#inherited.hold(placesBySlot(stored.contents.header.places ?? [], revision));
    await this.onApplied?.(keysOf(stored.contents));
  }
}

function heldPlaces({ pools }: Revision, shared: SharedState): readonly HeldPlaces[] {
  return pools.flatMap(({ config, slots }) =>
    config.servers
      .map(({ name }, index) => ({
        pool: config.name,
        server: name,
        places: shared.sumGauge(slots[index] as number, Gauge.sessionsReserved),
      }))
      .filter(({ places }) => places > 0),
  );
}

/** Of servers that are here too. */
function placesBySlot(held: readonly HeldPlaces[], { pools }: Revision): ReadonlyMap<number, number> {
  const found = new Map<number, number>();
  for (const { pool, server, places } of held) {
    const here = pools.find(({ config }) => config.name === pool);
    const slot = here?.slots[here.config.servers.findIndex(({ name }) => name === server)];
    if (slot !== undefined) found.set(slot, places);
  }
  return found;
}
