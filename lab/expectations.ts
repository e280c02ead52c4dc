// What each cell should show, as formulas with their brackets, and what it did show. Pure.
import { hasHomes } from './architectures.ts';
import type { CellPlan } from './cells.ts';
import { around, type Check, check, exactly } from './check.ts';
import type { MemoryEvidence, WireEvidence } from './evidence.ts';
import { expectHang, expectKill } from './expect-crash.ts';
import { expectAddServer, expectDrain, expectRolling } from './expect-servers.ts';
import {
  expectBalancerRestart,
  expectFullStore,
  expectHungStore,
  expectSlowStore,
  expectStoreFault,
} from './expect-stores.ts';
import { expectBan, expectGrowth, expectKeys, expectPairs, expectReplay } from './expect-users.ts';
import { parEvenMax, parOf, parRandomBracket, parZipfBracket, zipfEffective } from './formulas.ts';
import type { Judgement } from './judge.ts';
import type { Measured } from './measured.ts';
import { type Bracket, shareBracket, sum } from './statistics.ts';

/** The checks of a cell, by its fault. */
export function expectationsOf(plan: CellPlan, measured: Measured): readonly Check[] {
  switch (plan.fault) {
    case 'none':
    case 'mostly-reads':
      return expectNothing(plan, measured);
    case 'kill-one':
    case 'kill-two':
      return expectKill(plan, measured);
    case 'sigstop':
      return expectHang(plan, measured);
    case 'rolling-restart':
      return expectRolling(plan, measured);
    case 'add-server':
      return expectAddServer(plan, measured);
    case 'drain-server':
      return expectDrain(plan, measured);
    case 'store-killed':
    case 'store-emptied':
      return expectStoreFault(plan, measured);
    case 'store-hung':
      return expectHungStore(plan, measured);
    case 'store-slow':
      return expectSlowStore(plan, measured);
    case 'store-full':
      return expectFullStore(plan, measured);
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
    case 'ban':
      return expectBan(plan, measured);
    case 'keys-rotated':
    case 'keys-replaced':
      return expectKeys(plan, measured);
  }
}

function expectNothing(plan: CellPlan, { judgement, memory, wire, servers }: Measured): readonly Check[] {
  const { architecture, servers: n } = plan;
  if (architecture.name === 'memory-none') {
    const answered = judgement.requests - judgement.errorCount;
    return [
      check(
        'logged-in requests that succeed',
        `1/n = 1/${n} ± 3σ of a binomial`,
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
  if (hasHomes(architecture)) checks.push(evennessCheck(plan, judgement.homes.atFault, servers));
  if (architecture.store !== 'none') checks.push(operationsCheck(plan, judgement, wire));
  if (architecture.demo.architecture === 'replicated') {
    const isSync = architecture.demo.replication === 'sync';
    const expected = (n - 1) * (isSync ? 2 : 1);
    checks.push(
      check(
        'messages between servers a change',
        `${isSync ? `2(n-1) = ${expected}: change and confirmation` : `n-1 = ${expected}`}, give or take those under way when it is read`,
        edges(expected, plan.writes * judgement.requests, plan, judgement),
        wire.messagesPerWrite,
        'ratio',
      ),
    );
  }
  return checks;
}

/** What each server with sessions of its own asks the store in a second: is it there, has it these three still. */
const UPKEEP_PER_SECOND = 4;

function operationsCheck(plan: CellPlan, judgement: Judgement, wire: WireEvidence): Check {
  const { architecture, servers, perSecond, writes } = plan;
  const { read, write } = architecture.storeOperations;
  const each = (1 - writes) * read + writes * write;
  const upkeep = architecture.isBacked ? (servers * UPKEEP_PER_SECOND) / perSecond : 0;
  const { low, high } = edges(each, judgement.requests, plan, judgement);
  const more = architecture.isBacked
    ? `, and up to ${UPKEEP_PER_SECOND} a second from each server = ${upkeep.toFixed(3)}`
    : '';
  // Which requests write is chance.
  const share = shareBracket(judgement.requests, writes);
  const byChance = (share.high - share.low) * 0.5 * Math.abs(write - read);
  return check(
    'store operations a request',
    `${each.toFixed(1)}${more}, give or take those of requests under way when it is read`,
    { low: low - byChance, high: high + byChance + upkeep },
    wire.storeOperationsPerRequest,
    'ratio',
  );
}

function memoryCheck({ architecture, servers }: CellPlan, memory: MemoryEvidence): Check {
  const copies = architecture.copies(servers);
  const formula =
    copies === 0
      ? '0: the client carries it'
      : copies === 1
        ? architecture.isBacked
          ? '1, and 1 in the store'
          : '1'
        : `n = ${copies}: every server has every session`;
  // Everybody who is logged in has been answered, so servers and users count the same sessions.
  return check('copies of a session (memory factor)', formula, exactly(copies), memory.copies, 'ratio');
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
    const formula = 'by chance: largest of n binomials over the mean; bracket by trial';
    return check(metric, formula, bracket, par, 'ratio');
  }
  return check(metric, '≤ (⌈m/n⌉+1)/(m/n)', { low: 1, high: parEvenMax(n, m) }, par, 'ratio');
}

function expectHotUsers(plan: CellPlan, { judgement, servers }: Measured): readonly Check[] {
  const { servers: n, users: m, architecture, seed } = plan;
  const counts = servers.map((name) => judgement.requestsByServer.steady[name] ?? 0);
  const par = parOf(counts);
  const requests = sum(counts);
  const effective = zipfEffective(m).toFixed(0);
  const checks = [
    hasHomes(architecture)
      ? check(
          'PAR of requests',
          `even by count, by chance in load: m_eff = (Σ1/k)²/Σ1/k² = ${effective}; bracket by trial of ${requests} requests`,
          parZipfBracket(n, m, requests, seed),
          par,
          'ratio',
        )
      : check(
          'PAR of requests',
          '≤ (⌈r/n⌉+1)/(r/n) of r requests: in turn',
          { low: 1, high: parEvenMax(n, requests) },
          par,
          'ratio',
        ),
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
  ];
  if (hasHomes(architecture)) checks.push(evennessCheck(plan, judgement.homes.atFault, servers));
  return checks;
}

/**
 * A count for every one of `all` requests, read while some are under way: at either end as many may be counted on one
 * side only as are under way at a time, each as long as the slowest of a hundred.
 */
function edges(each: number, all: number, { perSecond }: CellPlan, { latency }: Judgement): Bracket {
  const slowestMs = Math.max(latency.read.steady.p99Ms, latency.write.steady.p99Ms);
  const underWay = Math.max(1, (perSecond * slowestMs) / 1000);
  return around(each, (2 * each * underWay) / Math.max(1, all));
}
