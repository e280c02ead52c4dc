/** The promise about cost, as code: what `--assert` holds Holdfast to. */
import type { Figures } from './report.ts';
import type { ScenarioName } from './scenarios.ts';

type Limit = {
  readonly scenario: ScenarioName;
  readonly peer: 'haproxy' | 'http-proxy';
  readonly ratioMax: number;
};

/** CPU per request of Holdfast as a multiple of a peer's, at most. */
export const LIMITS: readonly Limit[] = [
  { scenario: 'browser', peer: 'haproxy', ratioMax: 1.3 },
  { scenario: 'body100k', peer: 'haproxy', ratioMax: 1.2 },
  { scenario: 'browser', peer: 'http-proxy', ratioMax: 1 / 3 },
];

export type Verdict = { readonly isKept: boolean; readonly lines: readonly string[] };

/** Judges the figures. Holdfast missing is a failure; a missing peer or scenario is told and passed over. */
export function judge(figures: readonly Figures[]): Verdict {
  if (!figures.some((one) => one.peer === 'holdfast')) {
    return { isKept: false, lines: ['FAILED: holdfast was not measured'] };
  }
  let isKept = true;
  const lines: string[] = [];
  for (const { scenario, peer, ratioMax } of LIMITS) {
    const own = figures.find((one) => one.peer === 'holdfast' && one.scenario === scenario);
    const value = peer === 'haproxy' ? own?.toHaproxy : own?.toHttpProxy;
    const what = `${scenario}: CPU of holdfast to ${peer}`;
    if (value === undefined || value === null) {
      lines.push(`skipped: ${what}, not both measured`);
    } else {
      const isWithin = value <= ratioMax;
      isKept &&= isWithin;
      lines.push(
        `${isWithin ? 'ok' : 'FAILED'}: ${what} ${value.toFixed(2)}, at most ${ratioMax.toFixed(2)}`,
      );
    }
  }
  for (const one of figures.filter((each) => each.peer === 'holdfast' && each.errors > 0)) {
    isKept = false;
    lines.push(`FAILED: ${one.scenario}: holdfast gave ${one.errors} errors`);
  }
  return { isKept, lines };
}
