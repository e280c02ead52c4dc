// Every byte belongs to the request that asked for it, embedded as in the program (test/proxy/integrity.long.test.ts).

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { eventually } from '../support/eventually.ts';
import { integrityServer } from '../support/integrity-server.ts';
import { askAround, Findings, IntegrityUser } from '../support/integrity-user.ts';
import { rawClient } from '../support/raw-client.ts';
import { seeds } from '../support/seeds.ts';
import { embed } from './embedded.ts';

const USERS = 8;
const RESPONSES = 200;
const LENGTHS = [1, 12_000, 65_536, 3_000_000];

/** Asks and goes before all is there, again and again. */
async function leaveEarly(port: number, random: SeededRandom, isOver: () => boolean): Promise<void> {
  for (let number = 1; !isOver(); number += 1) {
    const client = await rawClient(port);
    const pool = random.next() < 0.5 ? 'plain' : 'held';
    const length = LENGTHS[number % LENGTHS.length];
    const framing = random.next() < 0.5 ? 'length' : 'chunked';
    const upload = random.next() < 0.5 ? '' : 'content-length: 100000\r\n';
    client.send(`GET /${pool}/${framing}/${number}/${length} HTTP/1.1\r\nhost: a\r\n${upload}\r\n`);
    if (random.next() < 0.5 && upload === '') await eventually(() => client.received() !== '');
    client.socket.resetAndDestroy();
  }
}

test('every framing, held and not, pipelined, slowly taken, uploaded, tunnelled, while others break off', {
  timeout: 180_000,
}, async () => {
  const url = await integrityServer();
  const pool = { health: 'off', passive: 'off', servers: [url] };
  const { port, balancer } = await embed({
    routes: [{ path: '/held', pool: 'held' }, { pool: 'plain' }],
    pools: { plain: pool, held: { ...pool, holdUntilComplete: 'small' } },
  });
  const findings = new Findings();
  const isOver = (): boolean => findings.responses >= RESPONSES || findings.wrong.length > 0;
  const [seed = 1] = seeds(1);
  const users = Array.from(
    { length: USERS },
    (_, index) => new IntegrityUser(port, findings, new SeededRandom(seed + index)),
  );
  const leaving = Array.from({ length: 2 }, (_, index) =>
    leaveEarly(port, new SeededRandom(seed + 100 + index), isOver),
  );
  await askAround(users, isOver);
  await Promise.all(leaving);
  const { wrong, cut, tunnels, uploads } = findings;
  expect({ seed, wrong, cut }).toEqual({ seed, wrong: [], cut: [] });
  expect([tunnels > 0, uploads > 20]).toEqual([true, true]);
  await eventually(() => balancer.status().pools.every(({ servers }) => servers[0]?.inFlight === 0));
});
