// The parts without a process: throttle, flags, replicated map, carried sessions.
import { expect, test } from 'vitest';
import { parseBackendFlags, SECRET_VARIABLE } from '../../demo/flags.ts';
import { needsRenewal, readCarried } from '../../demo/layers/carried.ts';
import { ReplicatedMap } from '../../demo/layers/replicated-map.ts';
import { newSessionState } from '../../demo/session-layer.ts';
import { LoginThrottle } from '../../demo/throttle.ts';

test('the throttle counts failures per user and address, and forgets them with the window', () => {
  const throttle = new LoginThrottle(2, 1000);
  for (let attempt = 0; attempt < 2; attempt += 1) throttle.begin('alice', '10.0.0.1', attempt);
  expect(throttle.waitMs('alice', '10.0.0.1', 10)).toBe(990);
  expect(throttle.waitMs('alice', '10.0.0.2', 10)).toBe(0);
  expect(throttle.waitMs('bob', '10.0.0.1', 10)).toBe(0);
  expect(throttle.waitMs('alice', '10.0.0.1', 1000)).toBe(0);
});

test('successful log-ins are not failures, parallel guesses are counted before their outcome', () => {
  const throttle = new LoginThrottle(2, 1000);
  for (let attempt = 0; attempt < 10; attempt += 1) {
    throttle.begin('alice', 'x', 0);
    throttle.succeed('alice', 'x', 0);
  }
  expect(throttle.waitMs('alice', 'x', 0)).toBe(0);
  throttle.begin('alice', 'x', 0);
  throttle.begin('alice', 'x', 0);
  expect(throttle.waitMs('alice', 'x', 0)).toBe(1000);
});

test('flags: every problem is reported at once', () => {
  const argv = ['--architecture', 'blockchain', '--port', '99999', '--idle', 'soon'];
  expect(parseBackendFlags(argv, {})).toEqual({
    problems: [
      '--architecture blockchain: one of memory, replicated, database, redis, home, cookie, jwt is allowed',
      `${SECRET_VARIABLE} must hold the secret the backends share, at least 32 characters`,
      '--port 99999: a whole number from 0 to 65535 is allowed',
      '--idle soon: write 250ms, 5s, 30m or 12h',
    ],
  });
});

test('flags: the cookie is named after the architecture', () => {
  const environment = { [SECRET_VARIABLE]: 'x'.repeat(32) };
  const nameFor = (...argv: string[]) => {
    const parsed = parseBackendFlags(argv, environment);
    return 'options' in parsed ? parsed.options.cookieName : parsed.problems;
  };
  expect(nameFor()).toBe('connect.sid');
  expect(nameFor('--architecture', 'jwt')).toBe('token');
  expect(nameFor('--architecture', 'cookie', '--cookie-name', 'mine')).toBe('mine');
});

test('replicated map: the later change wins in any order of arrival, an end is final', () => {
  const [a, b] = [new ReplicatedMap('a'), new ReplicatedMap('b')];
  const first = a.put('k', 'alice', '1', 9000, 100);
  b.merge(first);
  const second = b.put('k', 'alice', '2', 9000, 100);
  const end = a.remove('k', 200);
  for (const entries of [
    [first, second, end],
    [end, second, first],
    [second, end, first],
  ]) {
    const map = new ReplicatedMap('c');
    for (const entry of entries) map.merge(entry);
    expect(map.find('k', 300)).toBe(null);
    expect(map.touch('k', 99_999, 300)).toBe(null);
  }
});

test('replicated map: equal versions are decided alike everywhere', () => {
  const fromA = new ReplicatedMap('a').put('k', 'alice', 'by a', 9000, 100);
  const fromB = new ReplicatedMap('b').put('k', 'alice', 'by b', 9000, 100);
  const [x, y] = [new ReplicatedMap('x'), new ReplicatedMap('y')];
  x.merge(fromA);
  x.merge(fromB);
  y.merge(fromB);
  y.merge(fromA);
  expect(x.find('k', 200)).toEqual(y.find('k', 200));
});

test('a carried session ends by idling and by age, whichever is first', () => {
  const limits = { idleMs: 1000, lifeMs: 3000 };
  const state = newSessionState('alice', 1024, 0);
  expect(JSON.stringify(state).length).toBe(1024);
  expect(readCarried({ state, seenAtMs: 0 }, limits, 999)).not.toBe(null);
  expect(readCarried({ state, seenAtMs: 0 }, limits, 1000)).toBe(null);
  expect(readCarried({ state, seenAtMs: 2900 }, limits, 2999)).not.toBe(null);
  expect(readCarried({ state, seenAtMs: 2900 }, limits, 3000)).toBe(null);
  expect(readCarried({ state: { ...state, user: 7 }, seenAtMs: 0 }, limits, 1)).toBe(null);
  expect(needsRenewal({ state, seenAtMs: 0 }, limits, 250)).toBe(false);
  expect(needsRenewal({ state, seenAtMs: 0 }, limits, 251)).toBe(true);
});
