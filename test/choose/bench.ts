// What choosing costs, in nanoseconds per exchange: `node test/choose/bench.ts`. Not a test; run on an idle core.

import { SeededRandom } from '../../src/base/random.ts';
import { Affinity } from '../../src/choose/affinity.ts';
import { compilePool } from '../../src/choose/plan.ts';
import type { StickyConfig } from '../../src/config/model.ts';
import type { RequestHead } from '../../src/http1/message.ts';
import { POOL_ID, SECRET, World } from './fixture.ts';
import { cookiePair, requestOf, responseOf } from './messages.ts';

const NO_SLOTS: readonly number[] = [];
const ROUNDS = 400_000;
const SESSIONS = 10_000;

interface Prepared {
  readonly buffer: Buffer;
  readonly head: RequestHead;
}

function time(title: string, rounds: number, body: (round: number) => void): void {
  for (let round = 0; round < rounds / 4; round += 1) body(round);
  let best = Number.POSITIVE_INFINITY;
  for (let repeat = 0; repeat < 5; repeat += 1) {
    const begin = process.hrtime.bigint();
    for (let round = 0; round < rounds; round += 1) body(round);
    best = Math.min(best, Number(process.hrtime.bigint() - begin) / rounds);
  }
  console.log(`${title.padEnd(58)} ${best.toFixed(0).padStart(7)} ns`);
}

/** A request's life without its answer. Heads are reused a few at a time, as in a worker, where one is. */
function whole(world: World, requests: readonly Prepared[]): (round: number) => void {
  const chooser = world.choosers[0]!;
  const plan = world.plans[0]!;
  const affinity = new Affinity();
  const now = world.clock.nowMs();
  return (round) => {
    const { buffer, head } = requests[round % requests.length]!;
    chooser.identify(plan, buffer, head, '192.0.2.17', now, now, affinity);
    const slot = chooser.choose(plan, affinity, NO_SLOTS, now);
    chooser.commit(plan, affinity, slot, now, now);
    chooser.finish(plan, affinity, now);
  };
}

function known(title: string, sticky: Partial<StickyConfig>, header: (number: number) => string): void {
  const world = new World({ sticky, workers: 2, sessionsMax: 100_000 });
  const isOwn = sticky.mode === 'cookie-hash' || sticky.mode === 'cookie-pin';
  const lines = Array.from({ length: SESSIONS }, (_, number) =>
    isOwn && sticky.cookieOwner !== 'application'
      ? `Cookie: theme=dark; ${cookiePair(world.exchange().setCookie)}`
      : header(number),
  );
  for (const line of lines) for (let visit = 0; visit < 2; visit += 1) world.exchange({ headers: [line] });
  const requests = lines.slice(0, 500).map((line) => requestOf([line]));
  time(`known session, ${title}`, ROUNDS, whole(world, requests));
}

known('cookie-hash', { mode: 'cookie-hash' }, () => '');
known('cookie-pin', { mode: 'cookie-pin' }, () => '');
known(
  'application cookie (90 bytes)',
  { mode: 'cookie-hash', cookie: 'connect.sid', cookieOwner: 'application' },
  (number) => `Cookie: theme=dark; connect.sid=s%3A${String(number).padStart(32, 'x')}.${'y'.repeat(50)}`,
);
known(
  'header-hash (36 bytes)',
  { mode: 'header-hash', header: 'x-session-id' },
  (number) => `x-session-id: ${String(number).padStart(36, '0')}`,
);

for (const policy of [
  'round-robin',
  'least-connections',
  'random-two',
  'least-sessions',
  'least-time',
] as const) {
  const world = new World({ pool: { policy }, workers: 2 });
  time(`no affinity, ${policy}, 4 servers`, ROUNDS, whole(world, [requestOf([])]));
}

for (const size of [4, 20, 100]) {
  const servers = Array.from({ length: size }, (_, index) => ({ name: `s${index}` }));
  for (const mode of ['cookie-hash', 'cookie-pin'] as const) {
    const world = new World({ sticky: { mode }, servers, workers: 2, pool: { policy: 'least-sessions' } });
    const answer = responseOf([]);
    const { buffer, head } = requestOf([]);
    const affinity = new Affinity();
    const now = world.clock.nowMs();
    const chooser = world.choosers[0]!;
    const plan = world.plans[0]!;
    time(`new session with its cookie, ${mode}, ${size} servers`, 10_000, () => {
      chooser.identify(plan, buffer, head, '192.0.2.17', now, now, affinity);
      const slot = chooser.choose(plan, affinity, NO_SLOTS, now);
      chooser.commit(plan, affinity, slot, now, now);
      chooser.answered(plan, affinity, slot, answer.buffer, answer.head, now, now, false);
      chooser.finish(plan, affinity, now);
    });
  }
}

for (const mode of ['cookie-hash', 'cookie-pin'] as const) {
  const minting = new World({ sticky: { mode } });
  const requests = Array.from({ length: 5000 }, () =>
    requestOf([`Cookie: ${cookiePair(minting.exchange().setCookie)}`]),
  );
  let reading = new World({ sticky: { mode } });
  let run = whole(reading, requests);
  time(`cookie unknown to the table, ${mode}`, requests.length, (round) => {
    if (round === 0) {
      reading = new World({ sticky: { mode } });
      run = whole(reading, requests);
    }
    run(round);
  });
}

const config = new World().config;
time('compilePool, 4 servers', 2000, (round) => {
  const revision = { id: POOL_ID, config, slots: [1, 2, 3, 4], generations: [1, 1, 1, 1], keys: [SECRET] };
  compilePool(revision, new SeededRandom(round));
});
