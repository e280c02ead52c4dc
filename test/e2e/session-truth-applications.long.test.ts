// holdfast_sessions equals what the applications hold: through log-in, log-out and idling, at every sample within the
// sweep's period and exactly at rest; over a restart with sessions.file, a reload and the death of a server.
// The long form, 5 000 users for a minute, is test/soak/session-truth.ts.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Demo, startDemo } from '../../demo/launch.ts';
import { Visitor } from '../demo/visitor.ts';
import { Crowd } from '../support/crowd.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, reload, runHoldfast } from '../support/holdfast.ts';
import { countedSessions, heldSessions, TruthWatch } from '../support/truth.ts';

/** A sweep a second, idle times in tenths, and main's own delays on a machine that does other things as well. */
const LATE_MS = 1_800;

function yaml(demo: Demo, sticky: string, more = ''): string {
  const servers = demo.backends.map(({ name, url }) => `      - { name: ${name}, url: "${url}" }`);
  return `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
${more}
pools:
  shop:
    policy: least-sessions
    sticky: ${sticky}
    health: { path: /healthz, interval: 3s, timeout: 3s, rise: 1, fall: 2 }
    servers:
${servers.join('\n')}
`;
}

async function demoOf(servers: number, idle: string): Promise<Demo> {
  const flags = ['--idle', idle, '--scrypt-cost', '2', '--login-failures', '1000000'];
  const demo = await startDemo({ servers, flags });
  onTestFinished(() => demo.stop());
  return demo;
}

/** Waits until nothing changes any more, then both must be equal. */
async function expectEqualAtRest(demo: Demo, holdfast: RunningHoldfast): Promise<Record<string, number>> {
  let counted: Record<string, number> = {};
  let held: Record<string, number> = {};
  await eventually(
    async () => {
      held = await heldSessions(demo);
      counted = countedSessions(demo, await holdfast.metrics());
      return JSON.stringify(held) === JSON.stringify(counted);
    },
    { deadlineMs: 2_500, what: () => `${JSON.stringify(held)} held, ${JSON.stringify(counted)} counted` },
  );
  return held;
}

const total = (held: Readonly<Record<string, number>>): number =>
  Object.values(held).reduce((sum, count) => sum + count, 0);

async function logIn(holdfast: RunningHoldfast, count: number): Promise<Visitor[]> {
  const visitors = Array.from({ length: count }, () => new Visitor());
  await Promise.all(visitors.map((visitor, index) => visitor.login(holdfast.url, `user${index + 1}`)));
  return visitors;
}

async function statuses(holdfast: RunningHoldfast, visitors: readonly Visitor[]): Promise<Set<number>> {
  const answers = visitors.map(async (visitor) => (await visitor.get(`${holdfast.url}/whoami`)).status);
  return new Set(await Promise.all(answers));
}

test('counts follow log-in, log-out and idling at every sample, and are exact when all have gone', async () => {
  const demo = await demoOf(4, '4s');
  const holdfast = await runHoldfast(yaml(demo, '{ mode: learn, cookie: connect.sid, idle: 4s }'), {
    threads: 2,
  });
  const crowd = new Crowd({ url: () => holdfast.url, users: 300, thinkMs: 1_500 });
  const watch = new TruthWatch(demo, holdfast.metrics);
  const hasSeen = (): boolean => crowd.logouts > 50 && crowd.walkedAway > 50 && watch.samples > 10;
  await eventually(hasSeen, { deadlineMs: 25_000 });
  await crowd.stop();
  await eventually(async () => total(await heldSessions(demo)) === 0);
  await watch.stop();
  expect({ surprises: crowd.surprises, log: holdfast.log().match(/is (down|ejected)/g) }).toEqual({
    surprises: [],
    log: null,
  });
  expect(watch.wrong(LATE_MS)).toEqual([]);
  await expectEqualAtRest(demo, holdfast);
});

test('with a hash of the application’s cookie the counts are exact at rest', async () => {
  const demo = await demoOf(4, '10m');
  const holdfast = await runHoldfast(yaml(demo, '{ mode: cookie-hash, cookie: connect.sid }'), {
    threads: 2,
  });
  const crowd = new Crowd({
    url: () => holdfast.url,
    users: 200,
    thinkMs: 500,
    leaveChance: 0,
    logoutChance: 0.2,
  });
  await eventually(() => crowd.logouts > 100, { deadlineMs: 20_000 });
  await crowd.stop();
  expect({ surprises: crowd.surprises, log: holdfast.log().match(/is (down|ejected)/g) }).toEqual({
    surprises: [],
    log: null,
  });
  expect(total(await expectEqualAtRest(demo, holdfast))).toBe(crowd.logins - crowd.logouts);
});

test('a restart with sessions.file, a reload and a server’s death leave the counts true', async () => {
  const demo = await demoOf(3, '10m');
  const sticky = '{ mode: learn, cookie: connect.sid }';
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-truth-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = `sessions: { file: ${directory}/sessions }`;
  const first = await runHoldfast(yaml(demo, sticky, file), {
    threads: 2,
  });
  const visitors = await logIn(first, 60);
  await expectEqualAtRest(demo, first);
  expect(await first.stop()).toBe(0);
  const holdfast = await runHoldfast(yaml(demo, sticky, file), {
    threads: 2,
  });
  expect(total(await expectEqualAtRest(demo, holdfast))).toBe(60);
  expect(await statuses(holdfast, visitors)).toEqual(new Set([200]));

  const added = await demo.add();
  await reload(holdfast, yaml(demo, sticky, file));
  await eventually(async () => {
    const { pools } = await holdfast.status();
    return pools[0]?.servers.find(({ name }) => name === added.name)?.state === 'up';
  });
  // fewer than the others have: until a sweep counts again, one that was just placed may count twice
  const late = await logIn(holdfast, 15);
  const held = await expectEqualAtRest(demo, holdfast);
  expect(held[added.name]).toBe(15);

  // a third each, or one more where the machine was too busy for a sweep meanwhile
  const dying = held[demo.backends[0]!.name]!;
  await demo.backends[0]!.kill('SIGKILL');
  await eventually(async () => (await holdfast.status()).pools[0]?.servers[0]?.state === 'down');
  await statuses(holdfast, [...visitors, ...late]);
  await demo.backends[0]!.restart();
  expect(total(await expectEqualAtRest(demo, holdfast))).toBe(75 - dying);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(dying);
});

test('with the balancer’s own cookie visitors who keep no cookies do not count', async () => {
  const demo = await demoOf(2, '10m');
  const holdfast = await runHoldfast(yaml(demo, '{ mode: cookie-hash }'), { threads: 2 });
  const crawlers = Array.from({ length: 200 }, () => new Visitor());
  await Promise.all(crawlers.map((crawler) => crawler.get(`${holdfast.url}/healthz`)));
  const visitors = await logIn(holdfast, 40);
  await statuses(holdfast, visitors);
  expect(total(await expectEqualAtRest(demo, holdfast))).toBe(40);
  expect(await holdfast.metric('holdfast_sessions_tentative')).toBe(200);
});
