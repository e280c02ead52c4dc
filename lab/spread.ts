// How sessions lie on the servers over time after one has joined, as the users saw it. Pure.
import { parOf } from './formulas.ts';
import { type Exchange, isAcknowledged, sessionName } from './transcript.ts';

/** One look at the homes of all live sessions. */
export interface SpreadSample {
  /** Since the newcomer was up. */
  readonly afterMs: number;
  /** Fullest server over the mean. */
  readonly par: number;
  /** Sessions on the newcomer. */
  readonly held: number;
}

/** From one look to the next. */
export const SAMPLE_MS = 100;
/** Even enough: the fullest server has at most 10 % more than the mean. */
export const EVEN_PAR = 1.1;

/** Looks from `fromMs` to `untilMs`; a session is where its last acknowledged request was answered. */
export function spreadOf(
  transcript: readonly Exchange[],
  servers: readonly string[],
  newcomer: string,
  fromMs: number,
  untilMs: number,
): readonly SpreadSample[] {
  const steps = stepsOf(transcript);
  const homes = new Map<string, string>();
  const samples: SpreadSample[] = [];
  let next = 0;
  for (let atMs = fromMs; atMs < untilMs; atMs += SAMPLE_MS) {
    for (let step = steps[next]; step !== undefined && step.atMs <= atMs; step = steps[next]) {
      if (step.server === null) homes.delete(step.session);
      else homes.set(step.session, step.server);
      next += 1;
    }
    const counts = new Map(servers.map((name) => [name, 0]));
    for (const server of homes.values()) counts.set(server, (counts.get(server) ?? 0) + 1);
    samples.push({
      afterMs: atMs - fromMs,
      par: parOf([...counts.values()]),
      held: counts.get(newcomer) ?? 0,
    });
  }
  return samples;
}

/** When sessions came to a server; null: they ended. */
function stepsOf(transcript: readonly Exchange[]) {
  return transcript
    .flatMap((one) => {
      const session = sessionName(one);
      if (one.kind === 'logout') return [{ atMs: one.sentMs, session, server: null }];
      if (one.outcome.type !== 'complete' || !isAcknowledged(one)) return [];
      return [{ atMs: one.endedMs, session, server: one.outcome.server }];
    })
    .sort((a, b) => a.atMs - b.atMs);
}

/** Time until `isThere` holds for the first time; Infinity when it never does. */
export function firstMs(
  samples: readonly SpreadSample[],
  isThere: (sample: SpreadSample) => boolean,
): number {
  return samples.find(isThere)?.afterMs ?? Infinity;
}
