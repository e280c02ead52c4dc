import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CheckResult, ServerVerdict, verdictName } from '../../src/health/verdict.ts';

const RULES = { rise: 2, fall: 3 };

/** Feeds `+` success, `-` failure, `t` timeout, `!` certain failure; writes down the verdict after each. */
function play(results: string, rules = RULES): string {
  const verdict = new ServerVerdict(rules, 0);
  const results_ = [...results].map((mark, index) => {
    const result: CheckResult = mark === '+' ? 'success' : mark === 't' ? 'timeout' : 'failure';
    verdict.observe(result, index, mark === '!');
    return verdictName(verdict.verdict)[0];
  });
  return results_.join('');
}

describe('active checks', () => {
  test.each([
    ['one success is enough at the start', '+', 'u'],
    ['one failure is enough at the start', '-', 'd'],
    ['fall failures in a row take a server out', '+---', 'uuud'],
    ['a success in between starts the count again', '+--+---', 'uuuuuud'],
    ['timeouts count as failures', '+t-t', 'uuud'],
    ['rise successes in a row bring it back', '-++', 'ddu'],
    ['a failure in between starts that count again', '-+-++', 'ddddu'],
    ['a certain failure counts for all', '+!', 'ud'],
    ['a certain failure does not make the way back longer', '+!++', 'uddu'],
    ['each state needs its own full count again', '+---++---', 'uuudduuud'],
  ])('%s', (_name, results, verdicts) => {
    expect(play(results)).toBe(verdicts);
  });

  test('observe says whether the verdict changed, and since when it stands', () => {
    const verdict = new ServerVerdict({ rise: 1, fall: 2 }, 5);
    expect(verdict.observe('success', 10)).toBe(true);
    expect(verdict.observe('success', 20)).toBe(false);
    expect(verdict.observe('failure', 30)).toBe(false);
    expect(verdict.sinceMs).toBe(10);
    expect(verdict.observe('failure', 40)).toBe(true);
    expect(verdict.sinceMs).toBe(40);
  });

  test('the verdict flips only when the last `needed` results agree', () => {
    const marks = fc.array(fc.constantFrom('+', '-'), { maxLength: 60 }).map((list) => list.join(''));
    const count = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(marks, count, count, (results, rise, fall) => {
        const verdicts = play(results, { rise, fall });
        for (let at = 1; at < verdicts.length; at += 1) {
          if (verdicts[at] === verdicts[at - 1]) continue;
          const needed = verdicts[at] === 'u' ? rise : fall;
          const expected = (verdicts[at] === 'u' ? '+' : '-').repeat(needed);
          expect(results.slice(0, at + 1).endsWith(expected)).toBe(true);
        }
      }),
    );
  });
});

describe('ejection over active checks', () => {
  test('an ejected server that checks hold up is ejected, and up again afterwards', () => {
    const verdict = new ServerVerdict(RULES, 0);
    verdict.observe('success', 0);
    expect(verdict.setEjected(true, 1)).toBe(true);
    expect(verdictName(verdict.verdict)).toBe('ejected');
    expect(verdict.setEjected(false, 2)).toBe(true);
    expect(verdictName(verdict.verdict)).toBe('up');
  });

  test('down wins over ejected, and the ejection outlasts the outage', () => {
    const verdict = new ServerVerdict({ rise: 1, fall: 1 }, 0);
    verdict.observe('success', 0);
    verdict.setEjected(true, 1);
    expect(verdict.observe('failure', 2)).toBe(true);
    expect(verdictName(verdict.verdict)).toBe('down');
    expect(verdict.observe('success', 3)).toBe(true);
    expect(verdictName(verdict.verdict)).toBe('ejected');
  });

  test('ejecting a server that is down changes nothing', () => {
    const verdict = new ServerVerdict(RULES, 0);
    verdict.observe('failure', 0);
    expect(verdict.setEjected(true, 1)).toBe(false);
    expect(verdictName(verdict.verdict)).toBe('down');
  });
});

test('without checks a server is up; with them again one result decides after restart', () => {
  const verdict = new ServerVerdict(RULES, 0);
  expect(verdict.assumeUp(1)).toBe(true);
  expect(verdict.assumeUp(2)).toBe(false);
  expect(verdict.restart(3)).toBe(true);
  expect(verdictName(verdict.verdict)).toBe('starting');
  expect(verdict.observe('failure', 4)).toBe(true);
  expect(verdictName(verdict.verdict)).toBe('down');
});
