import { describe, expect, test } from 'vitest';
import { History, quantile, SAMPLES_MAX } from '../../../src/admin/page/assets/page/history.js';
import { pool, server, status } from './documents.ts';

describe('quantile', () => {
  const bounds = [0.001, 0.01, 0.1];
  test('lies within its bucket as if the values were spread evenly', () => {
    expect(quantile(0.5, [0, 10, 0, 0], bounds)).toBeCloseTo(0.0055);
    expect(quantile(0.5, [10, 10, 0, 0], bounds)).toBeCloseTo(0.001);
    expect(quantile(0.99, [98, 0, 2, 0], bounds)).toBeCloseTo(0.055);
  });
  test('is the last bound for what is longer, and nothing when there is nothing', () => {
    expect(quantile(0.99, [0, 0, 0, 5], bounds)).toBe(0.1);
    expect(quantile(0.5, [0, 0, 0, 0], bounds)).toBeNull();
  });
});

describe('history', () => {
  test('rates and percentiles come from the growth over the last ten seconds', () => {
    const history = new History();
    for (let second = 0; second <= 20; second += 1) {
      // 10 a second in the first ten seconds, then 50 a second, all of them between 1 and 10 ms
      const requests = second <= 10 ? second * 10 : 100 + (second - 10) * 50;
      const a = server('a', { requests, durations: [0, requests, 0, 0] });
      history.add(status([pool('shop', [a, server('b')])], { uptimeSeconds: second }), second);
    }
    expect(history.live('shop').requestRate).toBe(50);
    expect(history.live('shop', 'a').requestRate).toBe(50);
    expect(history.live('shop', 'b')).toMatchObject({ requestRate: 0, errorRate: 0, p50: null, p99: null });
    expect(history.live('shop').p50).toBeCloseTo(0.0055);
    expect(history.live('nope').requestRate).toBe(0);
  });

  test('errors of a pool are what clients saw, those of a server its 5xx', () => {
    const history = new History();
    for (let second = 0; second <= 10; second += 1) {
      const a = server('a', { codes: { '5xx': 2 * second } });
      history.add(status([pool('shop', [a], { requests: 20 * second, errors: 6 * second })]), second);
    }
    expect(history.live('shop')).toMatchObject({ requestRate: 20, errorRate: 6 });
    expect(history.live('shop', 'a')).toMatchObject({ errorRate: 2 });
  });

  test('what the balancer has kept comes first, and goes on with what comes', () => {
    const history = new History();
    const times = Array.from({ length: SAMPLES_MAX + 20 }, (_, at) => at);
    const line = times.map((at) => at);
    const past = {
      pools: [
        {
          name: 'shop',
          times,
          requestRate: line,
          errorRate: line,
          codes: {},
          inFlight: line,
          p50: line,
          p99: line,
          ratio: line,
          floor: line,
          sessions: { a: line.map(() => 4), b: line.map((at) => (at < 100 ? null : 8)) },
        },
      ],
    };
    history.fill(past, times.length - 1);
    history.add(status([pool('shop', [server('a', { sessions: 5 }), server('c')])]), times.length);
    const { times: shown, series, sessions } = history.pool('shop');
    expect(shown).toHaveLength(SAMPLES_MAX);
    expect([shown[0], series.errorRate[0], series.average[0], series.largest[100]]).toEqual([21, 21, 4, 8]);
    expect([...sessions].map(([name, values]) => [name, values.length, values.at(-1)])).toEqual([
      ['a', SAMPLES_MAX, 5],
      ['b', SAMPLES_MAX, null],
      ['c', SAMPLES_MAX, 0],
    ]);
  });

  test('the balancer may have another clock than the browser: what it has kept ends now', () => {
    const history = new History();
    const line = [1, 2, 3];
    const series = { requestRate: line, errorRate: line, p50: line, p99: line, ratio: line, floor: line };
    const kept = {
      name: 'shop',
      times: [7000, 7010, 7011],
      codes: {},
      inFlight: line,
      sessions: { a: line },
      ...series,
    };
    history.fill({ pools: [kept] }, 500);
    history.add(status([pool('shop', [server('a')])]), 501);
    expect(history.pool('shop').times).toEqual([489, 499, 500, 501]);
  });

  test('nothing is known after one sample, nor just after the balancer was started anew', () => {
    const history = new History();
    history.add(status([pool('shop', [server('a', { requests: 500 })])], { uptimeSeconds: 60 }), 0);
    expect(history.live('shop').requestRate).toBeNull();
    history.add(status([pool('shop', [server('a', { requests: 3 })])], { uptimeSeconds: 1 }), 1);
    expect(history.live('shop').requestRate).toBeNull();
    history.add(status([pool('shop', [server('a', { requests: 8 })])], { uptimeSeconds: 2 }), 2);
    expect(history.live('shop').requestRate).toBe(5);
  });

  test('a line breaks where nothing was heard, and where its server did not exist yet', () => {
    const history = new History();
    const one = status([pool('shop', [server('a', { sessions: 1 })])]);
    const two = status([pool('shop', [server('a', { sessions: 2 }), server('b', { sessions: 3 })])]);
    history.add(one, 0);
    history.add(two, 60);
    const { times, sessions } = history.pool('shop');
    expect(times).toEqual([0, 1, 60]);
    expect(Object.fromEntries(sessions)).toEqual({ a: [1, null, 2], b: [null, null, 3] });
    history.add(one, 61);
    expect(sessions.get('b')).toEqual([null, null, 3, null]);
  });

  test('keeps so many samples and no more, each series as long as the times', () => {
    const history = new History();
    const shown = status([pool('shop', [server('a', { sessions: 4 }), server('b', { sessions: 6 })])]);
    for (let second = 0; second < SAMPLES_MAX + 50; second += 1) history.add(shown, second);
    const { times, series, sessions } = history.pool('shop');
    expect(times[0]).toBe(50);
    const lengths = [times, ...Object.values(series), ...sessions.values()].map(({ length }) => length);
    expect(new Set(lengths)).toEqual(new Set([SAMPLES_MAX]));
    expect([series.largest.at(-1), series.average.at(-1), series.smallest.at(-1)]).toEqual([6, 5, 4]);
  });
});
