// The whole of operation at once: users come and go while the configuration is reloaded over and over, a server is drained
// and returned, and the process is replaced twice. Nobody may notice.
//
//   /        pool shop   the application's cookie, learned: only the session table knows the homes; servers come and go
//   /hash    pool hash   the balancer's cookie; weights and policies change
//   /live    pool live   WebSockets; never changed

import { writeFileSync } from 'node:fs';
import { tcpBackend } from './backend.ts';
import { eventually } from './eventually.ts';
import { changeServer, type RunningHoldfast, runHoldfast, sampleOf } from './holdfast.ts';
import { whenDone } from './lifetime.ts';
import { LiveSockets } from './live-sockets.ts';
import type { PlainReply } from './plain-client.ts';
import { type SessionServer, serversYaml, sessionServers } from './session-servers.ts';
import { type SteadyLoad, steadyLoad } from './steady-load.ts';
import { User } from './user.ts';

export const PER_SECOND = 500;
const RELOADS = 30;
const GRACE_SECONDS = 3;
/** Two of ten log in again all the time, four of ten come over a new connection for each request. */
const USERS = 300;
const SOCKETS = 20;
const POLICIES = ['least-sessions', 'least-connections', 'random-two', 'least-time'] as const;

export interface OperateReport {
  readonly seconds: number;
  readonly requests: number;
  readonly perSecond: number;
  readonly failed: readonly string[];
  readonly logins: number;
  readonly changedHome: readonly string[];
  /** Their server was removed from the configuration. */
  readonly movedForReason: number;
  readonly reloads: { readonly done: number; readonly refused: number };
  readonly takeovers: number;
  readonly exitCodes: readonly (number | null)[];
  readonly webSockets: {
    readonly opened: number;
    readonly messages: number;
    readonly closedInOrder: number;
    readonly dropped: readonly string[];
  };
  readonly movesCounted: Readonly<Record<string, number>>;
  readonly workerRestarts: number;
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly worst: number };
}

/** What is off; empty when nothing is. */
export function complaints(report: OperateReport): string[] {
  const { failed, changedHome, webSockets, reloads, exitCodes, movesCounted } = report;
  const found: string[] = [];
  const expect = (isSo: boolean, what: string): void => {
    if (!isSo) found.push(what);
  };
  expect(failed.length === 0, `${failed.length} requests failed`);
  expect(changedHome.length === 0, `${changedHome.length} sessions changed home without reason`);
  expect(webSockets.dropped.length === 0, `${webSockets.dropped.length} WebSockets were dropped`);
  // each process that is replaced closes its own at the end of its grace, nobody else any
  const closed = report.takeovers * SOCKETS;
  expect(
    webSockets.closedInOrder === closed,
    `${webSockets.closedInOrder} WebSockets were closed, not ${closed}`,
  );
  expect(
    reloads.done === RELOADS && reloads.refused === 1,
    'reloads done or refused are not as many as meant',
  );
  expect(
    exitCodes.every((code) => code === 0),
    'a process did not exit with 0',
  );
  expect((movesCounted['failure'] ?? 0) === 0, 'sessions were moved for a failure');
  expect(report.workerRestarts === 0, 'a thread died');
  return found;
}

/** When servers were last removed from pool shop; Infinity: it is not over. */
type Removals = Map<string, number>;

/** A user who checks every answer: it must come from the server that made the session, and that must know it. */
class Visitor extends User {
  logins = 0;
  moved = 0;
  readonly strayed: string[] = [];
  readonly latenciesMs: number[] = [];
  readonly #prefix: string;
  readonly #removals: Removals;
  /** Requests per session, 0: one session throughout. */
  readonly #visits: number;
  #sinceMs = 0;
  #left = 0;

  constructor(port: number, number: number, prefix: string, removals: Removals, visits: number) {
    const comesAnew = number % 10 < 3 || number % 20 >= 18;
    super(port, number, comesAnew ? { connection: 'close' } : {});
    this.#prefix = prefix;
    this.#removals = removals;
    this.#visits = visits;
  }

  override async get(): Promise<PlainReply> {
    const beganMs = performance.now();
    const reply = await this.#next(beganMs);
    this.latenciesMs.push(performance.now() - beganMs);
    return reply;
  }

  async #next(nowMs: number): Promise<PlainReply> {
    if (this.home === '') return this.#begin(nowMs);
    if (this.#visits > 0 && this.#left === 0) {
      this.home = '';
      return this.ask('POST', `${this.#prefix}/logout`);
    }
    this.#left -= 1;
    const reply = await this.ask('GET', `${this.#prefix}/`);
    const by = reply.header('x-served-by') ?? '';
    if (by !== this.home || reply.status !== 200) this.#onStrayed(by, reply);
    return reply;
  }

  async #begin(nowMs: number): Promise<PlainReply> {
    this.#sinceMs = nowMs;
    this.#left = this.#visits;
    this.logins += 1;
    const reply = await this.ask('POST', `${this.#prefix}/login`);
    this.home = reply.header('x-served-by') ?? '';
    return reply;
  }

  #onStrayed(by: string, { status }: PlainReply): void {
    const isReason = this.#prefix === '' && this.#sinceMs <= (this.#removals.get(this.home) ?? -1);
    if (isReason) this.moved += 1;
    else this.strayed.push(`${this.#prefix}/: ${this.home} -> ${by}, status ${status}`);
    this.home = '';
  }
}

/** The balancer as the operator handles it: one process after the other. */
class Operation {
  running: RunningHoldfast;
  reloads = 0;
  refused = 0;
  workerRestarts = 0;
  readonly moves: Record<string, number> = {};
  readonly former: RunningHoldfast[] = [];
  readonly removals: Removals = new Map();
  readonly #yamlOf: (variant: number) => string;
  #yaml: string;

  constructor(running: RunningHoldfast, yamlOf: (variant: number) => string) {
    this.running = running;
    this.#yamlOf = yamlOf;
    this.#yaml = yamlOf(0);
  }

  async reload(variant: number): Promise<void> {
    const next = this.#yamlOf(variant);
    const isThere = (name: string, yaml: string): boolean => yaml.includes(`{ name: ${name},`);
    const leaving = ['e', 'f'].filter((name) => isThere(name, this.#yaml) && !isThere(name, next));
    // threads swap before the reload is answered
    for (const name of leaving) this.removals.set(name, Number.POSITIVE_INFINITY);
    const status = await this.#reload(next);
    // and a process that is finishing does not hear of it: it may still begin sessions there
    void this.formerGone().then(() => {
      for (const name of leaving) this.removals.set(name, performance.now());
    });
    if (status !== 200) throw new Error(`a reload was answered with ${status}:\n${this.running.log()}`);
    this.reloads += 1;
    this.#yaml = next;
  }

  async breakFile(): Promise<void> {
    const status = await this.#reload(this.#yaml.replace('policy: ', 'policy: the-best-'));
    if (status === 409) this.refused += 1;
  }

  async #reload(yaml: string): Promise<number> {
    writeFileSync(this.running.configFile, yaml);
    return (await fetch(`${this.running.adminUrl}/api/reload`, { method: 'POST' })).status;
  }

  async setMode(server: string, mode: string): Promise<void> {
    await changeServer(this.running, `shop/${server}`, { mode });
  }

  async replace(): Promise<void> {
    const old = this.running;
    await this.count();
    await this.formerGone();
    this.running = await runHoldfast(this.#yaml, { args: ['--takeover', old.adminUrl] });
    this.former.push(old);
  }

  /** Resolves when every process that was replaced has finished. */
  async formerGone(): Promise<void> {
    await eventually(() => this.former.every(({ child }) => child.exitCode !== null), {
      deadlineMs: 4 * GRACE_SECONDS * 1000,
    });
  }

  /** Adds what the process has counted to what those before it have. */
  async count(): Promise<void> {
    const text = await this.running.metrics();
    for (const reason of ['failure', 'drain', 'rebalance', 'overload', 'operator', 'removed']) {
      const moves = sampleOf(text, 'holdfast_session_moves_total', { reason });
      this.moves[reason] = (this.moves[reason] ?? 0) + moves;
    }
    this.workerRestarts += sampleOf(text, 'holdfast_worker_restarts_total');
  }
}

/** Runs it for so many seconds and reports. */
export async function operate(seconds: number): Promise<OperateReport> {
  const servers = await sessionServers(6);
  const live = await echoServer();
  const yamlOf = (variant: number): string => yamlFor(servers, live, variant);
  const operation = new Operation(await runHoldfast(yamlOf(0)), yamlOf);
  const { port } = operation.running;
  const users = Array.from({ length: USERS }, (_, number) => {
    const visits = number % 10 >= 8 ? 3 : 0;
    return new Visitor(port, number, number % 2 === 0 ? '' : '/hash', operation.removals, visits);
  });
  whenDone(() => users.forEach((user) => void user.close()));
  for (const user of users) await user.get();
  const sockets = new LiveSockets(port, SOCKETS);
  await sockets.open();

  const load = steadyLoad(users, PER_SECOND);
  const beganMs = performance.now();
  await runBook(operation, seconds);
  const tookSeconds = (performance.now() - beganMs) / 1000;
  await load.stop();
  const exitCodes = await Promise.all(operation.former.map((old) => old.exited()));
  await sockets.stop();
  await operation.count();
  exitCodes.push(await operation.running.stop());
  return reportOf(tookSeconds, operation, users, load, sockets, exitCodes);
}

/** The operator's deeds, spread over the time. */
async function runBook(operation: Operation, seconds: number): Promise<void> {
  const beganMs = performance.now();
  const until = (share: number): Promise<void> =>
    new Promise((resolve) => {
      setTimeout(resolve, Math.max(0, beganMs + share * seconds * 1000 - performance.now()));
    });
  for (let turn = 1; turn <= RELOADS; turn += 1) {
    await until(turn / (RELOADS + 2));
    await operation.reload(turn);
    if (turn === 4) await operation.setMode('b', 'drain');
    if (turn === 8) await operation.breakFile();
    if (turn === 10 || turn === 20) await operation.replace();
    if (turn === 15) await operation.setMode('b', 'ready');
  }
  await until(1);
  await operation.formerGone();
}

function reportOf(
  seconds: number,
  operation: Operation,
  users: readonly Visitor[],
  load: SteadyLoad,
  sockets: LiveSockets,
  exitCodes: readonly (number | null)[],
): OperateReport {
  const latencies = users.flatMap(({ latenciesMs }) => latenciesMs).sort((first, second) => first - second);
  const quantile = (share: number): number =>
    Math.round((latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0) * 10) /
    10;
  const sum = (of: (user: Visitor) => number): number => users.reduce((total, user) => total + of(user), 0);
  return {
    seconds: Math.round(seconds * 10) / 10,
    requests: load.outcomes.length,
    perSecond: Math.round(load.outcomes.length / seconds),
    failed: load.failures(),
    logins: sum(({ logins }) => logins),
    changedHome: users.flatMap(({ strayed }) => strayed),
    movedForReason: sum(({ moved }) => moved),
    reloads: { done: operation.reloads, refused: operation.refused },
    takeovers: operation.former.length,
    exitCodes,
    webSockets: sockets.report,
    movesCounted: operation.moves,
    workerRestarts: operation.workerRestarts,
    latencyMs: { p50: quantile(0.5), p99: quantile(0.99), worst: quantile(1) },
  };
}

function echoServer(): Promise<{ readonly url: string }> {
  return tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      socket.on('data', (data) => socket.write(data));
      socket.on('end', () => socket.end());
    });
  });
}

/** Every variant differs from the one before: servers e and f come and go, weights, policies and limits change. */
function yamlFor(servers: readonly SessionServer[], live: { readonly url: string }, variant: number): string {
  const there = servers.filter(({ name }) => {
    if (name === 'e') return variant % 4 === 1 || variant % 4 === 2;
    return name !== 'f' || variant % 6 >= 3;
  });
  const weights = { a: `weight: ${1 + (variant % 3)}`, c: `maxConnections: ${500 + variant}` };
  const health = 'health: { path: /healthz, interval: 500ms, timeout: 5s }';
  return `
threads: 2
listen: { address: 127.0.0.1:0, timeouts: { header: ${10 + (variant % 2)}s } }
admin: { address: 127.0.0.1:0 }
shutdown: { grace: ${GRACE_SECONDS}s }
routes: [{ path: /live, pool: live }, { path: /hash, pool: hash }, { pool: shop }]
pools:
  live: { health: off, servers: ["${live.url}"] }
  hash:
    policy: ${POLICIES[(variant + 1) % POLICIES.length]}
    sticky: { mode: cookie-hash }
    ${health}
    servers:
${serversYaml(servers.slice(0, 4), weights)}
  shop:
    policy: ${POLICIES[variant % POLICIES.length]}
    sticky: { mode: learn, cookie: connect.sid }
    ${health}
    servers:
${serversYaml(there, weights)}`;
}
