import { describe, expect, test } from 'vitest';
import { describeChange, describeGrowth } from '../../../src/admin/page/assets/page/page-events.js';
import { describeEffect, describePlan } from '../../../src/admin/page/assets/page/prediction.js';
import type { ChangeEvent } from '../../../src/control/results.ts';
import { pool, server, status } from './documents.ts';

describe('change events as sentences', () => {
  const said = (event: ChangeEvent): string => {
    const { where, tone, text } = describeChange(event);
    return `${tone}: ${where}: ${text(0)}`;
  };
  test('verdict, operator, reload, and what nobody knows yet', () => {
    const place = { pool: 'shop', server: 'a', slot: 3 };
    expect([
      said({ type: 'verdict', ...place, from: 'up', to: 'down', reason: 'timeout', wallMs: 1 }),
      said({ type: 'verdict', ...place, from: 'down', to: 'up', reason: 'status 200', wallMs: 1 }),
      said({ type: 'server', ...place, mode: 'drain', weight: 2 }),
      said({ type: 'reload', ok: true, revision: 2, changes: [] }),
      said({ type: 'reload', ok: true, revision: 2, changes: [], by: 'SIGHUP' }),
      said({ type: 'reload', ok: false, code: 'conflict', message: 'line 3: no' }),
      said({ type: 'certificates', ok: false, code: 'conflict', message: 'no key' }),
      said({ type: 'rebalance', pool: 'shop', from: 'idle', to: 'running', why: 'ratio 1.4' }),
      said({ type: 'reminder', pool: 'shop', moved: 12 }),
    ]).toEqual([
      'bad: shop/a: is down: timeout',
      'good: shop/a: is up: status 200',
      'plain: shop/a: set by the operator: mode drain, weight 2',
      'plain: : Configuration reloaded, revision 2',
      'plain: : Configuration reloaded by SIGHUP, revision 2',
      'bad: : Reload refused: line 3: no',
      'bad: : Changed certificates refused: no key',
      'warn: shop: rebalancing running: ratio 1.4',
      'plain: shop: reminder moved 12',
    ]);
  });
});

describe('moves and losses between two documents', () => {
  const before = status([pool('shop', [server('a', { lost: 1 })], { moves: { failure: 2, drain: 5 } })]);
  test('what grew is said with its number', () => {
    const now = status([pool('shop', [server('a', { lost: 4 })], { moves: { failure: 3, drain: 5 } })]);
    expect(describeGrowth(before, now).map(({ where, amount, text }) => `${where}: ${text(amount)}`)).toEqual(
      ['shop: 1 session moved: their home failed', 'shop/a: 3 sessions lost with their state'],
    );
  });
  test('what is lost with a removed server is said, though the server is not there', () => {
    const lost = (removed: number) => pool('shop', [server('a')], { lost: { failure: 1, removed } });
    const grown = describeGrowth(status([lost(2)]), status([lost(5)]));
    expect(grown.map(({ where, tone, amount, text }) => `${tone}: ${where}: ${text(amount)}`)).toEqual([
      'bad: shop: 3 sessions lost with a removed server',
    ]);
  });
  test('nothing when nothing grew, and no losses of a server that is another one now', () => {
    expect(describeGrowth(before, before)).toEqual([]);
    const other = server('a', { lost: 9, url: 'http://127.0.0.1/other' });
    expect(describeGrowth(before, status([pool('shop', [other], { moves: { failure: 2 } })]))).toEqual([]);
  });
  test('a balancer that was started anew is no growth', () => {
    const now = status([pool('shop', [server('a', { lost: 9 })])], { uptimeSeconds: 1 });
    expect(describeGrowth(before, now).map(({ key }) => key)).toEqual(['restart']);
  });
});

describe('what a change would do', () => {
  const a = server('a', { sessions: 40 });
  const shop = pool('shop', [a, server('b', { sessions: 2 })]);
  const said = (...given: Parameters<typeof describeEffect>): string[] =>
    describeEffect(...given).map(({ tone, text }) => `${tone}: ${text}`);

  test('maintenance of local sessions loses them, of shared ones moves them, draining does neither', () => {
    expect(said(shop, a, 'maintenance').at(-1)).toBe(
      'bad: It gets no requests at all. Only a has the state of its sessions: 40 sessions will be lost.',
    );
    const shared = pool('shop', shop.servers, { state: 'shared' });
    expect(said(shared, a, 'maintenance').at(-1)).toMatch(
      /^warn: .* 40 sessions will be given another home\.$/,
    );
    expect(said(shop, a, 'drain').at(-1)).toMatch(/^plain: .* none is lost\.$/);
  });
  test('the last eligible server is pointed out', () => {
    const alone = pool('shop', [a, server('b', { mode: 'drain' })]);
    expect(said(alone, a, 'drain').at(-1)).toMatch(/^bad: No other server/);
    expect(said(shop, a, 'drain').join()).not.toContain('No other server');
  });
  test('a plan adds its figures, and nothing when it has none', () => {
    const skews = { skewBefore: { ratio: 1.01, floor: 1.1 }, skewAfter: { ratio: 1.254, floor: 1.1 } };
    expect(describePlan({ moves: 40, lost: 1, seconds: null, ...skews })).toEqual([
      { tone: 'bad', text: 'Predicted: 40 sessions moved, 1 lost.' },
      { tone: 'plain', text: 'Skew 1.01 now, 1.25 then.' },
    ]);
    expect(describePlan({ moves: 1, lost: 0, seconds: 130 })).toEqual([
      { tone: 'plain', text: 'Predicted: 1 session moved, 0 lost, over in about 2 min.' },
    ]);
    expect(describePlan(null)).toEqual([]);
    expect(describePlan({ unexpected: true })).toEqual([]);
  });
});
