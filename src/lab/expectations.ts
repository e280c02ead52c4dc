// What each cell should show, as formulas with their brackets, and what it did show. Pure.
import type { CellPlan } from './cells.ts';
import { around, type Check, check, exactly } from './check.ts';
import type { MemoryEvidence } from './evidence.ts';
import { expectAddServer, expectDrain, expectKill, expectRolling } from './expect-servers.ts';
import { expectBalancerRestart, expectSlowStore, expectStoreFault } from './expect-stores.ts';
import { expectGrowth, expectPairs, expectReplay } from './expect-users.ts';
import { parOf, parRandomBracket, parZipfBracket, zipfEffective } from './formulas.ts';
import type { Measured } from './measured.ts';
import { shareBracket } from './statistics.ts';

/** The checks of a cell, by its fault. */
export function expectationsOf(plan: CellPlan, measured: Measured): readonly Check[] {
  switch (plan.fault) {
    case 'none':
      return expectNothing(plan, measured);
    case 'kill-one':
    case 'sigstop':
      return expectKill(plan, measured);
    case 'rolling-restart':
      return expectRolling(plan, measured);
    case 'add-server':
      return expectAddServer(plan, measured);
    case 'drain-server':
      return expectDrain(plan, measured);
    case 'store-killed':
    case 'store-emptied':
      return expectStoreFault(plan, measured);
    case 'store-slow':
      return expectSlowStore(plan, measured);
    case 'balancer-restart':
      return expectBalancerRestart(plan, measured);
    case 'hot-users':
      return expectHotUsers(plan, measured);
    case 'session-growth':
      return expectGrowth(plan, measured);
    case 'parallel':
      return expectPairs(plan, measured);
    case 'replay':
      return expectReplay(plan, measured);
  }
}

function expectNothing(plan: CellPlan, { judgement, memory, wire, servers }: Measured): readonly Check[] {
  const { architecture, servers: n } = plan;
  if (architecture.name === 'memory-none') {
    const answered = judgement.requests - judgement.errorCount;
    return [
      check(
        'logged-in requests that succeed',
        `1/n = 1/${n}`,
        shareBracket(answered, 1 / n),
        judgement.successShare,
        'share',
      ),
      memoryCheck(plan, memory),
    ];
  }
  const checks = [
    check('logged-in requests that succeed', 'all', exactly(1), judgement.successShare, 'share'),
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
    check('errors', '0', exactly(0), judgement.errorCount, 'count'),
    check(
      'answers older than what was confirmed',
      '0: users think longer than any lag',
      exactly(0),
      judgement.regressions.count,
      'count',
    ),
    memoryCheck(plan, memory),
  ];
  if (architecture.isLocal) checks.push(evennessCheck(plan, judgement.homes.atFault, servers));
  if (architecture.storeOperations > 0) {
    checks.push(
      check(
        'store operations a request',
        `${architecture.storeOperations}`,
        around(architecture.storeOperations, 0.02),
        wire.storeOperationsPerRequest,
        'ratio',
      ),
    );
  }
  if (architecture.demo.architecture === 'replicated') {
    const isSync = architecture.demo.replication === 'sync';
    const expected = (n - 1) * (isSync ? 2 : 1);
    checks.push(
      check(
        'messages between servers a change',
        isSync ? `2(n-1) = ${expected}: change and confirmation` : `n-1 = ${expected}`,
        around(expected, 0.1),
        wire.messagesPerWrite,
        'ratio',
      ),
    );
  }
  return checks;
}

function memoryCheck({ architecture, servers }: CellPlan, memory: MemoryEvidence): Check {
  const copies = architecture.copies(servers);
  const formula =
    copies === 0
      ? '0: the client carries it'
      : copies === 1
        ? '1'
        : `n = ${copies}: every server has every session`;
  return check('copies of a session (memory factor)', formula, around(copies, 0.02), memory.copies, 'ratio');
}

/** PAR (largest over mean) of sessions by server. */
function evennessCheck(
  { architecture, servers: n, users: m, seed }: CellPlan,
  homes: Readonly<Record<string, number>>,
  servers: readonly string[],
): Check {
  const par = parOf(servers.map((name) => homes[name] ?? 0));
  const metric = 'PAR of sessions (largest over mean)';
  if (architecture.placement === 'random') {
    const bracket = parRandomBracket(n, m, seed);
    const formula = 'by chance: 1 + e_n √(n/m), by trial';
    return check(metric, formula, bracket, par, 'ratio');
  }
  const high = (Math.ceil(m / n) + 1) / (m / n);
  return check(metric, '≤ (⌈m/n⌉+1)/(m/n)', { low: 1, high }, par, 'ratio');
}

function expectHotUsers(plan: CellPlan, { judgement, servers }: Measured): readonly Check[] {
  const { servers: n, users: m, architecture, seed } = plan;
  const par = parOf(servers.map((name) => judgement.requestsByServer.steady[name] ?? 0));
  const effective = zipfEffective(m).toFixed(0);
  const checks = [
    architecture.isLocal
      ? check(
          'PAR of requests',
          `even by count, by chance in load: m_eff = (Σ1/k)²/Σ1/k² = ${effective}, by trial`,
          widened(parZipfBracket(n, m, seed)),
          par,
          'ratio',
        )
      : check('PAR of requests', '1: any server takes any request', { low: 1, high: 1.02 }, par, 'ratio'),
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
  ];
  if (architecture.isLocal) checks.push(evennessCheck(plan, judgement.homes.atFault, servers));
  return checks;
}

/** The requests themselves are drawn too: a little on both sides. */
function widened({ low, high }: { readonly low: number; readonly high: number }) {
  return { low: Math.max(1, low - 0.05), high: high + 0.05 };
}
