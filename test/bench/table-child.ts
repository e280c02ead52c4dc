/**
 * A balancer with many sessions in its table, for table.ts: `node table-child.ts SESSIONS VISITORS PORT PORT`. It checks
 * that the table gives every session its home, times the look-up of the visitors' alone, and serves until it is ended.
 */
import { systemClock } from '../../src/base/clock.ts';
import { hashBytes, hashed } from '../../src/base/hash.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { compilePool } from '../../src/choose/plan.ts';
import { loadConfig } from '../../src/config/load.ts';
import { Balancer } from '../../src/run/balancer.ts';
import { createLogger } from '../../src/run/logger.ts';
import { packHome } from '../../src/shared/session-table.ts';

const LOOK_UPS = 2_000_000;
/** Room in both tables, so that they are of one size. */
const SESSIONS_MAX = 1_000_000;

const [sessions = 0, visitors = 0, ...ports] = process.argv.slice(2).map(Number);
const { config } = loadConfig(configText(), { file: 'table.yaml', env: {} });
if (config === null) throw new Error('the configuration is wrong');
const balancer = await Balancer.start({
  config,
  log: createLogger('silent'),
  threads: 1,
});
const [pool] = balancer.revision.pools;
if (pool === undefined) throw new Error('no pool');
const { hash } = compilePool(pool, new SeededRandom(1)).keys;
const homes = pool.slots.map((slot, index) => packHome(slot, pool.generations[index] ?? 0));
const { table } = balancer.control.shared;
fill();
console.log(JSON.stringify({ right: countRight(), nanosPerLookUp: timeLookUps() }));
console.log(`listening on http://127.0.0.1:${balancer.ports[0]}`);
process.on('SIGTERM', () => void balancer.stop(0).then(() => process.exit(0)));

function configText(): string {
  const servers = ports.map((port, index) => `{ name: ${'ab'[index]}, url: "http://127.0.0.1:${port}" }`);
  return `
listen: [{ address: 127.0.0.1:0, timeouts: { keepAlive: 10m } }]
admin: off
sessions: { max: ${SESSIONS_MAX} }
pools:
  bench:
    state: shared
    sticky: { mode: cookie-hash, cookie: connect.sid }
    servers: [${servers.join(', ')}]
`;
}

/** Visitors are the first; even sessions are at home on the first server. */
function hashKeyOf(session: number): void {
  const bytes = Buffer.from(session < visitors ? `v${session}` : `s${session}`, 'latin1');
  hashBytes(hash, bytes, 0, bytes.length);
}

function homeOf(session: number): number {
  return homes[session % homes.length] as number;
}

/** The visitors last, so that none of them is pushed out. */
function fill(): void {
  const nowMs = systemClock.nowMs();
  for (let session = sessions - 1; session >= 0; session -= 1) {
    hashKeyOf(session);
    table.insert(hashed.low, hashed.high, homeOf(session), nowMs, 0, false);
  }
}

/** Sessions that the table knows with the right home. */
function countRight(): number {
  let right = 0;
  for (let session = 0; session < sessions; session += 1) {
    hashKeyOf(session);
    const entry = table.find(hashed.low, hashed.high);
    if (entry !== -1 && table.home(entry) === homeOf(session)) right += 1;
  }
  return right;
}

/** Best of five, one after the other as visitors come: in no order that the table knows. */
function timeLookUps(): number {
  const keys = new Int32Array(visitors * 2);
  for (let visitor = 0; visitor < visitors; visitor += 1) {
    hashKeyOf(visitor);
    keys[visitor * 2] = hashed.low;
    keys[visitor * 2 + 1] = hashed.high;
  }
  let best = Number.POSITIVE_INFINITY;
  for (let repeat = 0; repeat < 5; repeat += 1) {
    const begin = process.hrtime.bigint();
    let found = 0;
    for (let at = 0; at < LOOK_UPS; at += 1) {
      const visitor = at % visitors;
      const entry = table.find(keys[visitor * 2] as number, keys[visitor * 2 + 1] as number);
      // a visitor may have been pushed out by a later one
      if (entry !== -1 && table.home(entry) === homeOf(visitor)) found += 1;
    }
    if (found < LOOK_UPS * 0.999) throw new Error('visitors were not found');
    best = Math.min(best, Number(process.hrtime.bigint() - begin) / LOOK_UPS);
  }
  return best;
}
