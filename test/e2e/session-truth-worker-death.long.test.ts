// A worker thread dies: no session is forgotten or counted twice, and its sessions go on at their homes.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { Balancer } from '../../src/run/balancer.ts';
import { createLogger } from '../../src/run/logger.ts';
import { Mode } from '../../src/shared/control.ts';
import { Counter, LOST_REASONS, MOVE_REASONS, PoolCounter } from '../../src/shared/stripe.ts';
import { eventually } from '../support/eventually.ts';
import { serversYaml, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

const USERS = 60;

test('sessions and counts outlive the worker that served them', async () => {
  const started = vi.spyOn(Worker.prototype, 'postMessage');
  const servers = await sessionServers(3);
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-worker-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const text = `
listen: [{ address: 127.0.0.1:0 }]
admin: off
pools:
  shop:
    policy: least-sessions
    sticky: { mode: learn, cookie: connect.sid }
    health: { interval: 200ms, timeout: 200ms, rise: 1 }
    servers:
${serversYaml(servers)}
`;
  const { config } = loadConfig(text, { file: 'test.yaml', env: {} });
  const log = createLogger('silent');
  const balancer = await Balancer.start({ config: config!, log, threads: 2 });
  onTestFinished(async () => void (await balancer.stop(0)));
  const slots = balancer.revision.pools[0]!.slots;
  const sessions = (): number[] => slots.map((slot) => balancer.control.shared.control.sessions(slot));
  const held = (): number[] => servers.map((server) => server.sessions.size);
  await eventually(() => slots.every((slot) => balancer.control.shared.control.verdict(slot) === 1));
  const users = Array.from({ length: USERS }, (_, number) => new User(balancer.ports[0]!, number));
  for (const user of users) await user.login();
  await eventually(() => JSON.stringify(sessions()) === JSON.stringify(held()));

  // one server's sessions are lost: those figures have to outlive the threads that counted them
  const count = (counter: number): number =>
    slots.reduce((sum, slot) => sum + balancer.control.shared.sumCounter(slot, counter), 0);
  const reason = LOST_REASONS.indexOf('operator');
  const figures = (): unknown => ({
    created: count(Counter.created),
    lost: count(Counter.lost + reason),
    moved: balancer.control.shared.sumPoolCounter(0, PoolCounter.moves + MOVE_REASONS.indexOf('operator')),
    lostInPool: balancer.control.shared.sumPoolCounter(0, PoolCounter.lost + reason),
  });
  balancer.control.shared.control.setMode(slots[2]!, Mode.maintenance);
  const victims = users.filter(({ home }) => home === 'c');
  for (const user of victims) expect((await user.get()).status).toBe(401);
  balancer.control.shared.control.setMode(slots[2]!, Mode.ready);
  for (const user of victims) await user.login();
  servers[2]!.sessions.clear();
  const lost = victims.length;
  expect(lost).toBe(USERS / 3);
  await eventually(() => JSON.stringify(sessions()) === JSON.stringify(held()));
  const wanted = { created: USERS + lost, lost, moved: lost, lostInPool: lost };
  expect(figures()).toEqual(wanted);

  const workers = [...new Set(started.mock.contexts)] as Worker[];
  expect(workers.length).toBe(2);
  await workers[0]!.terminate();
  await eventually(() => balancer.fleet.restarts === 1);
  expect(figures()).toEqual(wanted);
  await workers[1]!.terminate();
  await eventually(() => balancer.fleet.restarts === 2);
  expect(figures()).toEqual(wanted);
  for (const user of users) user.close();
  // with both gone the port is shut until the first of the new ones listens
  await eventually(() =>
    new User(balancer.ports[0]!, USERS).get().then(
      () => true,
      () => false,
    ),
  );
  for (const user of users) expect((await user.get()).status).toBe(200);
  const late = Array.from({ length: 15 }, (_, number) => new User(balancer.ports[0]!, USERS + number));
  for (const user of late) await user.login();
  for (const user of users.slice(0, 20)) await user.ask('POST', '/logout');
  await eventually(() => JSON.stringify(sessions()) === JSON.stringify(held()));
  expect(figures()).toEqual({ ...wanted, created: USERS + lost + late.length });
  expect(sessions().reduce((sum, count) => sum + count, 0)).toBe(USERS + 15 - 20);
  for (const user of [...users, ...late]) user.close();
});
