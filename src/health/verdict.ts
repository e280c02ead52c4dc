// The verdict on one server: what active checks say, with rise and fall, and whether it is ejected. Pure.
//
//               first success                 fall failures, or one that is certain: not reached by a worker either
//   starting ------------------> up ------------------------------------------------> down
//       \__________________________________________________________________________/   |
//               first failure          up <-------------------------------------------/
//                                               rise successes, or one while requests wait
//
// Ejection (passive signals) lies over this: an ejected server is `ejected` while active checks hold it up, and
// is `down` when they do not. Neither part knows of the other; only `verdict` puts them together.

import { VERDICT_NAMES, Verdict } from '../shared/control.ts';

/** How one active check ended; the `result` label of holdfast_health_checks_total. */
export const CHECK_RESULTS = ['success', 'failure', 'timeout'] as const;
export type CheckResult = (typeof CHECK_RESULTS)[number];

export interface VerdictRules {
  /** Successes in a row that bring a server back. */
  readonly rise: number;
  /** Failures in a row that take it out. */
  readonly fall: number;
}

export class ServerVerdict {
  #rules: VerdictRules;
  #active: Verdict = Verdict.starting;
  #ejected = false;
  #streak = 0;
  #sinceMs: number;

  constructor(rules: VerdictRules, nowMs: number) {
    this.#rules = rules;
    this.#sinceMs = nowMs;
  }

  /** What workers are told. */
  get verdict(): Verdict {
    return this.#ejected && this.#active === Verdict.up ? Verdict.ejected : this.#active;
  }

  /** When `verdict` last changed. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** Results in a row that contradict the current verdict; 0 when the last one agreed with it. */
  get streak(): number {
    return this.#streak;
  }

  /** New rules count from the next result on. */
  setRules(rules: VerdictRules): void {
    this.#rules = rules;
  }

  /**
   * Takes in one active result; true when the verdict changed. `isCertain`: there is nothing to wait for. Of a failure,
   * because a worker could not connect either; of a success, because requests wait and nobody else can serve them.
   */
  observe(result: CheckResult, nowMs: number, isCertain = false): boolean {
    const isGood = result === 'success';
    if (this.#active === Verdict.starting) return this.#enter(isGood ? Verdict.up : Verdict.down, nowMs);
    if (isGood === (this.#active === Verdict.up)) {
      this.#streak = 0;
      return false;
    }
    this.#streak += 1;
    const needed = isCertain ? 1 : isGood ? this.#rules.rise : this.#rules.fall;
    return this.#streak >= needed && this.#enter(isGood ? Verdict.up : Verdict.down, nowMs);
  }

  /** Passive signals put the server aside or take it back; true when the verdict changed. */
  setEjected(isEjected: boolean, nowMs: number): boolean {
    const before = this.verdict;
    this.#ejected = isEjected;
    return this.#note(before, nowMs);
  }

  /** Without active checks a server counts as up; true when the verdict changed. */
  assumeUp(nowMs: number): boolean {
    return this.#active !== Verdict.up && this.#enter(Verdict.up, nowMs);
  }

  /** Forgets what checks said: the next result decides alone. True when the verdict changed. */
  restart(nowMs: number): boolean {
    return this.#active !== Verdict.starting && this.#enter(Verdict.starting, nowMs);
  }

  #enter(active: Verdict, nowMs: number): boolean {
    const before = this.verdict;
    this.#active = active;
    this.#streak = 0;
    return this.#note(before, nowMs);
  }

  #note(before: Verdict, nowMs: number): boolean {
    if (this.verdict === before) return false;
    this.#sinceMs = nowMs;
    return true;
  }
}

/** The word for a verdict in metrics, logs and the API. */
export function verdictName(verdict: Verdict): (typeof VERDICT_NAMES)[number] {
  return VERDICT_NAMES[verdict];
}
