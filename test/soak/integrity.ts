// Every byte of every response and upload belongs to the request that asked for it: all framings, held and not, pipelined,
// taken slowly, through tunnels, while one process replaces another again and again. In the second half one process
// stays, and its memory may not grow.
//
//   node test/soak/integrity.ts [--seconds 60] [--every 4] [--users 40] [--http2 10] [--tls]         exit 1 when one byte was wrong
//   node test/soak/integrity.ts --takeovers 8 --responses 100000 [--body 48000] [--seconds 900]
//
// --http2: so many users more that speak HTTP/2. --tls: the server speaks TLS too. --takeovers, --responses: so many of each, within the seconds. --body: of each, in bytes.
// A process that is replaced cuts off after its grace what its clients have not taken: on a machine with other work that
// happens, it says how many, and so many responses are not complained of. Any other that is cut off is a fault.

import { parseArgs } from 'node:util';
import { SeededRandom } from '../../src/base/random.ts';
import { median } from '../bench/statistics.ts';
import { authority } from '../support/authority.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { Http2IntegrityUser } from '../support/integrity-http2-user.ts';
import { integrityServer } from '../support/integrity-server.ts';
import { askAround, Findings, IntegrityUser, integrityPools } from '../support/integrity-user.ts';
import { forProgram } from '../support/lifetime.ts';
import { residentMb } from '../support/quiet.ts';

const GROWTH_MB_MAX = 60;
const QUIET_MS = 15_000;
const SHOWN = 10;

const { values } = parseArgs({
  options: {
    tls: { type: 'boolean' },
    seconds: { type: 'string' },
    every: { type: 'string' },
    users: { type: 'string' },
    http2: { type: 'string' },
    takeovers: { type: 'string' },
    responses: { type: 'string' },
    body: { type: 'string' },
  },
});
const takeoverCount = Number(values.takeovers ?? 0);
const responseCount = Number(values.responses ?? 0);
const isCounted = takeoverCount > 0 || responseCount > 0;
const seconds = Number(values.seconds ?? (isCounted ? 900 : 60));
const lengths = values.body === undefined ? undefined : [Number(values.body)];
const everyMs = Number(values.every ?? 4) * 1000;
const userCount = Number(values.users ?? 40);
const http2Count = Number(values.http2 ?? 10);
const seed = Number(process.env['SEED'] ?? (performance.timeOrigin % 1_000_000) | 0);

const missing = (reason: string): never => {
  throw new Error(reason);
};
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What a process has cut off when its grace was over, as its log says. */
function cutOff(log: string): number {
  const said = log.matchAll(/cutting off (\d+) requests, ending (\d+) tunnels/g);
  return [...said].reduce((sum, [, requests, tunnels]) => sum + Number(requests) + Number(tunnels), 0);
}

/** What is in flight or open yet, once nobody asks any more; '' when nothing is. */
async function leftOver(running: RunningHoldfast): Promise<string> {
  const endMs = performance.now() + QUIET_MS;
  for (;;) {
    const left = {
      inFlight: await running.metric('holdfast_requests_in_flight'),
      clients: await running.metric('holdfast_client_connections'),
      active: await running.metric('holdfast_upstream_connections', { state: 'active' }),
      restarts: await running.metric('holdfast_worker_restarts_total'),
      // nobody here overdoes it
      abuse: await running.metric('holdfast_http2_abuse_total'),
    };
    if (Object.values(left).every((value) => value === 0)) return '';
    if (performance.now() > endMs) return JSON.stringify(left);
    await pause(200);
  }
}

const problems = await forProgram(async () => {
  const findings = new Findings();
  const own = values.tls === true ? authority(missing) : null;
  const url = await integrityServer(own?.issue('IP:127.0.0.1') ?? null);
  const yaml = `
listen: [{ address: 127.0.0.1:0, h2c: true, http2: { resets: 10000/1s } }, { address: "localhost:0", tls: { selfSigned: true }, http2: { resets: 10000/1s } }]
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 10s }
${integrityPools(url, own?.caFile ?? null)}`;
  let running = await runHoldfast(yaml, { threads: 2 });
  const random = new SeededRandom(seed);
  const users = Array.from({ length: userCount }, (_, index) => {
    // every other user comes over TLS
    const isSecure = index % 2 === 1;
    const port = running.ports[isSecure ? 1 : 0] as number;
    return new IntegrityUser(
      port,
      findings,
      new SeededRandom(seed + index + random.next()),
      isSecure,
      lengths,
    );
  });
  const http2Users = Array.from({ length: http2Count }, (_, index) => {
    const isSecure = index % 2 === 1;
    const port = running.ports[isSecure ? 1 : 0] as number;
    return new Http2IntegrityUser(port, findings, new SeededRandom(seed - index - random.next()), isSecure);
  });
  const beganMs = performance.now();
  const leftMs = (): number => beganMs + seconds * 1000 - performance.now();
  const isOver = (): boolean => {
    const isEnough = isCounted && findings.responses >= responseCount && findings.takeovers >= takeoverCount;
    return isEnough || leftMs() < 0 || findings.wrong.length > SHOWN;
  };
  const asking = askAround([...users, ...http2Users], isOver);
  let cutByGrace = 0;
  const replace = async (): Promise<void> => {
    const old = running;
    running = await runHoldfast(yaml, { threads: 2, args: ['--takeover', old.adminUrl] });
    findings.takeovers += 1;
    await old.exited();
    cutByGrace += cutOff(old.log());
  };
  if (isCounted) {
    for (let turn = 1; turn <= takeoverCount && !isOver(); turn += 1) {
      const share = (responseCount * turn) / (takeoverCount + 1);
      while (findings.responses < share && !isOver()) await pause(100);
      await replace();
    }
  } else {
    while (leftMs() > seconds * 500 && findings.wrong.length === 0) {
      await pause(everyMs);
      await replace();
    }
  }
  // a process that has just taken over is not warm before its heap has grown to what the load needs
  await pause(Math.min(15_000, leftMs() / 2));
  // the middle of many looks: what is resident goes up and down by tens of megabytes with each collection
  const looks = [residentMb(running)];
  const looking = setInterval(() => looks.push(residentMb(running)), 250);
  await asking;
  clearInterval(looking);
  looks.push(residentMb(running));
  const half = Math.ceil(looks.length / 2);
  const [warmMb, endMb] = [median(looks.slice(0, half)), median(looks.slice(half))];
  const { responses, uploads, tunnels, takeovers, http2Bytes, wrong, cut } = findings;
  process.stdout.write(
    `${responses} responses, ${uploads} of them to uploads, ${(http2Bytes / 1e9).toFixed(2)} GB over HTTP/2, ${tunnels} tunnels, ${takeovers} takeovers in ${((performance.now() - beganMs) / 1000).toFixed(0)} s (SEED=${seed}): ` +
      `${wrong.length} wrong, ${cut.length} cut off (${cutByGrace} by the end of a grace); memory ${warmMb.toFixed(0)} MB warm, ${endMb.toFixed(0)} MB at the end\n`,
  );
  const left = await leftOver(running);
  return [
    ...wrong.slice(0, SHOWN),
    ...(cut.length > cutByGrace ? cut.slice(0, SHOWN) : []),
    ...(left === '' ? [] : [`left over: ${left}`]),
    ...(endMb - warmMb > GROWTH_MB_MAX ? [`memory grew from ${warmMb} to ${endMb} MB`] : []),
    ...(responses <= responseCount - 1 || responses === 0 ? [`only ${responses} responses`] : []),
    ...(takeovers < Math.max(1, takeoverCount) ? [`only ${takeovers} takeovers`] : []),
  ];
});
for (const problem of problems) process.stderr.write(`${problem}\n`);
process.exit(problems.length === 0 ? 0 : 1);
