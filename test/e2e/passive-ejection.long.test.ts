// Servers that pass their health checks but fail real requests are put aside, within bounds, and come back.

import { expect, test } from 'vitest';
import { type Backend, cannedBackend, httpBackend, tcpBackend } from '../support/backend.ts';
import { loadUntil, outlierPool, stateOf } from '../support/outlier-pool.ts';

const PASSIVE = 'passive: { failures: 5, window: 10s, eject: 1s, maxEjected: 50%, status: [503] }';

/** 503 in one of two replies. */
function flaky(reached: () => void): Promise<Backend> {
  let count = 0;
  return httpBackend('flaky', (_request, response) => {
    reached();
    count += 1;
    response.statusCode = count % 2 === 0 ? 503 : 200;
    response.end();
  });
}

/** Accepts connections, reads, never answers. */
function silent(reached: () => void): Promise<Backend> {
  return tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', reached);
  });
}

/** Sends a head and closes. */
function truncating(): Promise<Backend> {
  return cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart', 'end');
}

test('503 in one of two replies: ejected soon, back later, ejected again for longer; other 5xx count for nothing', async () => {
  const broken = (reached: () => void) =>
    httpBackend('b', (_request, response) => {
      reached();
      response.statusCode = 500;
      response.end();
    });
  const { holdfast } = await outlierPool({ a: flaky, b: broken }, PASSIVE);
  const first = await loadUntil(holdfast, (servers) => stateOf(servers, 'a') === 'ejected', 3000);
  expect(first.statuses.get(503)).toBeLessThanOrEqual(20);
  expect(await holdfast.metric('holdfast_servers_ejected', { pool: 'shop' })).toBe(1);
  await loadUntil(holdfast, (servers) => stateOf(servers, 'a') === 'up', 3000);
  const ejectedAgainMs = performance.now();
  await loadUntil(holdfast, (servers) => stateOf(servers, 'a') === 'ejected', 3000);
  await loadUntil(holdfast, (servers) => stateOf(servers, 'a') === 'up', 5000);
  expect(performance.now() - ejectedAgainMs).toBeGreaterThan(1900);
  expect(await holdfast.metric('holdfast_server_transitions_total', { server: 'a', to: 'ejected' })).toBe(2);
  expect(await holdfast.metric('holdfast_server_transitions_total', { server: 'b', to: 'ejected' })).toBe(0);
  expect(
    await holdfast.metric('holdfast_passive_failures_total', { server: 'a', kind: 'status' }),
  ).toBeGreaterThanOrEqual(10);
  expect(await holdfast.metric('holdfast_passive_failures_total', { server: 'b' })).toBe(0);
});

test('a server that accepts and never answers: ejected after a few timeouts, clients hardly notice, retries within budget', async () => {
  const more = `${PASSIVE.replace('1s', '30s')}\ntimeouts: { response: 200ms }\nretry: { attempts: 2, budget: 20% }`;
  const { holdfast, reached } = await outlierPool({ a: silent }, more);
  const report = await loadUntil(holdfast, (servers) => stateOf(servers, 'a') === 'ejected', 5000);
  expect([...report.statuses.keys()]).toEqual([200]);
  expect(
    await holdfast.metric('holdfast_passive_failures_total', { server: 'a', kind: 'response' }),
  ).toBeLessThanOrEqual(20);
  const sent = [...reached.values()].reduce((sum, count) => sum + count, 0);
  // per thread: the share of requests and the reserve of ten
  expect(sent).toBeLessThanOrEqual(report.requests * 1.2 + 20);
});

test('a server that closes after the head: the client sees that the reply is cut, the server is ejected', async () => {
  const { holdfast } = await outlierPool({ a: truncating }, PASSIVE);
  const report = await loadUntil(holdfast, (servers) => stateOf(servers, 'a') === 'ejected', 3000);
  expect(report.statuses.get(0)).toBeGreaterThanOrEqual(5);
  expect(report.statuses.get(0)).toBeLessThanOrEqual(20);
  expect(
    await holdfast.metric('holdfast_passive_failures_total', { server: 'a', kind: 'response' }),
  ).toBeGreaterThanOrEqual(5);
});

test('three servers of four are ill: never more than the allowed share is put aside', async () => {
  const more = `${PASSIVE.replace('1s', '30s')}\ntimeouts: { response: 100ms }\nretry: { status: [503] }`;
  const { holdfast } = await outlierPool({ a: flaky, b: truncating, c: silent }, more);
  const isHalfOut = (servers: readonly { state: string }[]) =>
    servers.filter(({ state }) => state === 'ejected').length === 2;
  await loadUntil(holdfast, isHalfOut, 5000);
  const endMs = performance.now() + 1500;
  const report = await loadUntil(holdfast, () => performance.now() > endMs, 5000);
  expect(report.ejectedMax).toBe(2);
});

test('where ejections would leave too few, all are tried: the panic threshold', async () => {
  const more = `${PASSIVE.replace('50%', '75%').replace('}', ', panic: 60% }').replace('1s', '30s')}`;
  const { holdfast } = await outlierPool({ a: flaky, b: flaky }, more);
  const failed = (server: string): Promise<number> =>
    holdfast.metric('holdfast_passive_failures_total', { server, kind: 'status' });
  await loadUntil(
    holdfast,
    async (servers) =>
      servers.every(({ state }) => state === 'up') && (await failed('a')) >= 50 && (await failed('b')) >= 50,
  );
  expect(await holdfast.metric('holdfast_servers_ejected', { pool: 'shop' })).toBe(0);
});
