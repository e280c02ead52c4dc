// Whether a thread still runs, from its heartbeats. Pure.
//
//   beats ── no beat ── ... ── busy for BUSY_MS of processor time: a loop that does not end ──┐
//                       ... ── idle or starved for IDLE_MS: something that blocks ────────────┴── hangs
//
// A thread that spins is known by the processor time it has used since its last beat; one that was given none by the
// system has that much longer. Only time in which main ran as well counts: when the whole process stood still, nobody
// hangs. Beats come with each tick, and with each step of what may take long (many connections at once).

/** How often a thread beats, and main looks. */
export const BEAT_MS = 100;
/** What main is late beyond this is time in which it did not run itself. */
const LATE_MS = 2 * BEAT_MS;
/** Without a beat for so long a thread answers nobody. */
const SILENT_MS = 500;
const BUSY_MS = 500;
const IDLE_MS = 3000;

export class Pulse {
  #beats = -1;
  #silentMs = 0;
  /** Processor time of the thread when it was first missed; null: not known. */
  #cpuMs: number | null = null;

  /** `elapsedMs`: since the last look. `cpuMs`: processor time the thread has used in all, null where it is not known. */
  poll(beats: number, elapsedMs: number, cpuMs: () => number | null): 'beats' | 'silent' | 'hangs' {
    if (beats !== this.#beats) {
      this.#beats = beats;
      this.#silentMs = 0;
      this.#cpuMs = null;
      return 'beats';
    }
    const usedMs = cpuMs();
    this.#cpuMs ??= usedMs;
    this.#silentMs += Math.min(elapsedMs, LATE_MS);
    const isBusy = usedMs !== null && this.#cpuMs !== null && usedMs - this.#cpuMs >= BUSY_MS;
    if (isBusy || this.#silentMs >= IDLE_MS) return 'hangs';
    return this.#silentMs >= SILENT_MS ? 'silent' : 'beats';
  }
}
