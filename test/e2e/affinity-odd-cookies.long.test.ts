// Cookies that the balancer did not make, or made too long ago, are never an error: they are counted for what they
// are, the request is served as a new session's, and a new cookie is set.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { plainClient } from '../support/plain-client.ts';
import { serversYaml, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

/** Of our cookie, that tell its session, however often it is written again. */
const KEY_CHARACTERS = 22;

async function run(mode: string, sticky: string): Promise<Holdfast> {
  const servers = await sessionServers(3);
  return runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    sticky: { mode: ${mode}, secret: sixteen-characters${sticky} }
    servers:
${serversYaml(servers)}`);
}

function flipped(text: string, at: number): string {
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
}

test.each(['cookie-hash', 'cookie-pin'])(
  '%s: a forged cookie is counted as invalid and replaced',
  async (mode) => {
    // another balancer's cookie, so that no table knows the session and every character counts
    const other = await run(mode, '');
    const stranger = new User(other.port, 1);
    await stranger.get();
    const genuine = stranger.jar.get('holdfast')!;
    stranger.close();
    const holdfast = await run(mode, '');
    const honest = new User(holdfast.port, 1);
    const positions = Array.from({ length: genuine.length }, (_, at) => flipped(genuine, at));
    const forged = [
      ...positions,
      '',
      'x',
      genuine.slice(1),
      `${genuine}A`,
      '"',
      '%00'.repeat(30),
      'A'.repeat(8000),
    ];
    for (const value of forged) {
      honest.jar.set('holdfast', value);
      const reply = await honest.get();
      const where = reply.header('x-served-by') ?? '';
      const isServed = ['a', 'b', 'c'].includes(where);
      expect([value, reply.setCookies.length, isServed]).toEqual([value, 1, true]);
      expect(honest.jar.get('holdfast')).toHaveLength(genuine.length);
    }
    honest.jar.set('holdfast', genuine);
    expect((await honest.get()).setCookies).toEqual([]);
    honest.close();
    expect(await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'invalid' })).toBe(
      forged.length,
    );
    expect(await holdfast.metric('holdfast_rejected_requests_total')).toBe(0);
  },
);

test.each(['cookie-hash', 'cookie-pin'])(
  '%s: a cookie past its life is counted as expired and replaced',
  async (mode) => {
    const holdfast = await run(mode, ', idle: 1s, life: 1s');
    const user = new User(holdfast.port, 1);
    await user.get();
    const old = user.jar.get('holdfast')!;
    const sessionOf = (cookie: string): string => cookie.slice(0, KEY_CHARACTERS);
    await eventually(async () => {
      user.jar.set('holdfast', old);
      // until then it is renewed now and then
      return (
        (await user.get()).setCookies.length === 1 && sessionOf(user.jar.get('holdfast')!) !== sessionOf(old)
      );
    });
    // counted when the response is over, which its client may know first
    await eventually(
      async () => (await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'expired' })) === 1,
    );
    expect(await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'invalid' })).toBe(0);
    expect(await holdfast.metric('holdfast_sessions_ended_total')).toBeGreaterThanOrEqual(1);
    user.close();
  },
);

test('sessions.perAddress: one address begins so many, what it asks beyond is served without and counted', async () => {
  const servers = await sessionServers(2);
  const holdfast = await runInside(
    `
threads: 1
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
trusted: []
sessions: { perAddress: 5 }
pools:
  shop:
    sticky: { mode: cookie-hash }
    servers:
${serversYaml(servers)}
`,
  );
  const cookies = async (address: string, visits: number): Promise<number> => {
    let given = 0;
    for (let visit = 0; visit < visits; visit += 1) {
      const reply = await plainClient(holdfast.port, address).ask('GET', '/login');
      expect(reply.status).toBe(200);
      given += reply.setCookies.filter((line) => line.startsWith('holdfast=')).length;
    }
    return given;
  };
  expect(await cookies('127.0.0.2', 12)).toBe(5);
  expect(await cookies('127.0.0.3', 3)).toBe(3);
  expect(await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'limited' })).toBe(7);
  expect(await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'new' })).toBe(8);
});
