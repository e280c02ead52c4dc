// How the balancer is, in one word, and why.

import { expect, test } from 'vitest';
import { type SummarizedPool, summarize } from '../../src/admin/summary.ts';

const SINCE = '2026-11-26T22:04:00.000Z';
type Server = SummarizedPool['servers'][number];
const server = (name: string, fields: Partial<Server> = {}): Server => ({
  name,
  state: 'up',
  mode: 'ready',
  weight: 1,
  check: null,
  since: null,
  sessions: 0,
  unbacked: 0,
  ...fields,
});
const pool = (servers: readonly Server[], requests = 0, errors = 0, seconds = 60): SummarizedPool => ({
  name: 'shop',
  recent: { seconds, requests, errors },
  servers,
});
const DOWN = { state: 'down', check: 'connection refused', since: SINCE };

test('all well: also when the operator has drained or taken out a server, or requests are few', () => {
  const servers = [
    server('a'),
    server('b', { mode: 'drain' }),
    server('c', { ...DOWN, mode: 'maintenance' }),
  ];
  expect(summarize([pool(servers, 3, 0)])).toEqual({ state: 'well', problems: [] });
});

test('a server down or ejected is a problem with its reason and since when', () => {
  const { state, problems } = summarize([
    pool([server('a'), server('b', DOWN), server('c', { state: 'ejected' })]),
  ]);
  expect(state).toBe('degraded');
  expect(problems).toEqual([
    {
      state: 'degraded',
      pool: 'shop',
      server: 'b',
      text: 'down (connection refused)',
      since: SINCE,
      sessions: 0,
    },
    { state: 'degraded', pool: 'shop', server: 'c', text: 'ejected', since: null, sessions: 0 },
  ]);
});

test('sessions that a server alone has are a problem while it lives: whoever stopped it would log users out', () => {
  const { state, problems } = summarize([
    pool([
      server('a', { unbacked: 1 }),
      server('b', { unbacked: 12, mode: 'drain' }),
      server('c', { unbacked: 3, ...DOWN, mode: 'maintenance' }),
    ]),
  ]);
  expect(state).toBe('degraded');
  expect(problems.map(({ server: name, text }) => `${name} ${text}`)).toEqual([
    'a has 1 session without a backup',
    'b has 12 sessions without a backup',
  ]);
});

test('errors: a few are a flaw, one in a hundred is a failure, and that comes first', () => {
  const few = summarize([pool([server('a')], 1000, 3)]);
  expect([few.state, few.problems[0]?.text]).toEqual([
    'degraded',
    '3 of 1000 requests went wrong in the last minute (0.3 %)',
  ]);
  const many = summarize([pool([server('a'), server('b', DOWN)], 512, 61, 12)]);
  expect([many.state, many.problems[0]?.text]).toEqual([
    'failing',
    '61 of 512 requests went wrong in the last 12 seconds (12 %)',
  ]);
  expect(many.problems.map(({ server: name }) => name)).toEqual([null, 'b']);
});

test('a pool that nobody can serve is failing, with or without requests', () => {
  for (const out of [DOWN, { mode: 'drain' }, { weight: 0 }, { state: 'starting' }]) {
    const { state, problems } = summarize([pool([server('a', out)])]);
    expect([state, problems[0]?.text]).toEqual(['failing', 'no server can take new requests']);
  }
  expect(summarize([pool([server('a', DOWN)])]).problems[0]?.since).toBe(SINCE);
});

test('how many sessions a failure affects: those whose home cannot serve them', () => {
  const servers = [
    server('a', { ...DOWN, sessions: 30 }),
    server('b', { ...DOWN, sessions: 1 }),
    server('c', { state: 'ejected', sessions: 5 }),
  ];
  const told = summarize([pool(servers)]).problems.map(({ text, sessions }) => [text, sessions]);
  expect(told).toEqual([
    ['no server can take new requests, 31 sessions affected', 31],
    ['down (connection refused), 30 sessions affected', 30],
    ['down (connection refused), 1 session affected', 1],
    ['ejected', 0],
  ]);
});
