// One real cell: real servers, a real balancer, a real SIGKILL.
import { expect, test } from 'vitest';
import { runCell } from '../../lab/cell.ts';
import { type LabOptions, planCell, selectCells } from '../../lab/cells.ts';

const OPTIONS: LabOptions = {
  only: ['memory'],
  faults: ['kill-one'],
  quick: false,
  seed: 3,
  servers: 2,
  users: 40,
};

test('a killed server costs its sessions, and the balancer counts as many as the users', async () => {
  const [cell] = selectCells(OPTIONS);
  if (cell === undefined) throw new Error('the cell is gone');
  const { measured, checks } = await runCell(planCell(cell, OPTIONS), new AbortController().signal);
  const { judgement, balancerLost } = measured;
  expect(judgement.sessionsAtFault).toBe(40);
  expect(judgement.lost).toBeGreaterThanOrEqual(19);
  expect(judgement.lost).toBeLessThanOrEqual(21);
  expect(balancerLost).toBe(judgement.lost);
  expect(judgement.forcedLogins).toBeGreaterThanOrEqual(judgement.lost);
  expect(checks.find(({ metric }) => metric === 'lost sessions')?.verdict).toBe('inside');
});

test('a cell that is called off ends at once and leaves nothing running', async () => {
  const [cell] = selectCells(OPTIONS);
  if (cell === undefined) throw new Error('the cell is gone');
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('stopped')), 1200);
  const beganMs = performance.now();
  await expect(runCell(planCell(cell, OPTIONS), stop.signal)).rejects.toThrow('stopped');
  expect(performance.now() - beganMs).toBeLessThan(12_000);
});
