// Two servers and the session store killed in turn, every two seconds, while 40 users raise counters.
//
//   node test/soak/turns.ts [--architecture home|redis] [--kills 30] [--away 1000] [--seed 1]
//
// Prints what became of users and writes; exit 1 when the sessions at home lost anything.

import { parseArgs } from 'node:util';
import { playTurns } from '../support/turns.ts';

const { values } = parseArgs({
  options: {
    architecture: { type: 'string', default: 'home' },
    kills: { type: 'string', default: '30' },
    away: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
  },
});
const report = await playTurns({
  architecture: values.architecture === 'redis' ? 'redis' : 'home',
  users: 40,
  seed: Number(values.seed),
  kills: Number(values.kills),
  everyMs: 2000,
  awayMs: Number(values.away),
});
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
const { loggedOut, lostWrites, errors, errorsWhileAway } = report;
process.exit(
  loggedOut + lostWrites + errors + errorsWhileAway === 0 || values.architecture === 'redis' ? 0 : 1,
);
