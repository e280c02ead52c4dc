import { expect, test } from 'vitest';
import { readSelfReport } from '../../src/health/self-report.ts';
import { Mode, Report } from '../../src/shared/control.ts';
import { SharedState } from '../../src/shared/shared-state.ts';

test.each<[string | string[] | undefined, 'ready' | 'drain' | 'full', number | null]>([
  [undefined, 'ready', null],
  ['', 'ready', null],
  ['drain', 'drain', null],
  ['FULL', 'full', null],
  ['weight=5', 'ready', 5],
  ['drain, weight = 0', 'drain', 0],
  [['full', 'weight=1000'], 'full', 1000],
  ['weight=1001', 'ready', null],
  ['weight=-1', 'ready', null],
  ['weight=1e3', 'ready', null],
  ['maintenance', 'ready', null],
  ['something, drain', 'drain', null],
  ['draining', 'ready', null],
])('%j is %s, weight %j', (value, mode, weight) => {
  expect(readSelfReport({ 'x-holdfast-server': value })).toEqual({ mode, weight, unbacked: 0 });
});

test.each<[string | string[] | undefined, number]>([
  ['0', 0],
  ['12', 12],
  [' 7 ', 7],
  ['-1', 0],
  ['1.5', 0],
  ['many', 0],
  ['9999999999', 999_999_999],
  ['9'.repeat(400), 999_999_999],
  [['1', '2'], 2],
  ['3, 0', 3],
  ['0, many', 0],
  ['', 0],
])('%j is %i sessions without a backup', (value, unbacked) => {
  expect(readSelfReport({ 'x-holdfast-unbacked': value })).toEqual({ mode: 'ready', weight: null, unbacked });
});

test("the operator's mode stands above the report and survives it", () => {
  const { control } = SharedState.create(1, 100, 0);
  control.setReport(3, Report.full);
  expect([control.mode(3), control.operatorMode(3)]).toEqual([Mode.full, Mode.ready]);
  control.setMode(3, Mode.maintenance);
  expect(control.mode(3)).toBe(Mode.maintenance);
  control.setReport(3, Report.drain);
  expect(control.mode(3)).toBe(Mode.maintenance);
  control.setMode(3, Mode.ready);
  expect(control.mode(3)).toBe(Mode.drain);
  control.setReport(3, Report.ready);
  expect(control.mode(3)).toBe(Mode.ready);
});
