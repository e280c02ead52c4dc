/** `npm run bench`: Holdfast and every peer found on this machine, side by side, checked before they are timed. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { type Backends, startBackends } from './backends.ts';
import { check, checkTimed } from './check.ts';
import { visitorCookies } from './client.ts';
import { type Cores, chooseCores } from './cores.ts';
import { startEchoBackend } from './echo-backend.ts';
import { chooseGenerator, drive, type Generator, measure, type Sample, type Target } from './load.ts';
import { type Options, parseOptions, USAGE } from './options.ts';
import type { Peer } from './peer.ts';
import { NAMEABLE } from './peers.ts';
import { absencesText, type Entrant, type Figures, figuresOf, type Measured, tableOf } from './report.ts';
import { type Running, startPeer } from './running.ts';
import { type Scenario, SMALL_BODY_BYTES } from './scenarios.ts';
import { chartOf } from './svg.ts';
import { judge } from './verdict.ts';

const CONNECTIONS_MAX = 4096;

type Setting = { readonly options: Options; readonly generator: Generator; readonly cores: Cores };

process.exitCode = await main();

async function main(): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${sentence(error)}\n\n${USAGE}`);
    return 2;
  }
  if (options.isHelp) {
    console.log(USAGE);
    return 0;
  }
  const generator = chooseGenerator(options.generator);
  const cores = chooseCores();
  const entrants: Entrant[] = [];
  for (const peer of NAMEABLE) {
    if (options.only.includes(peer.name)) entrants.push(await examine(peer, cores));
  }
  const backends = await startBackends(cores.load);
  const conditions =
    `${options.rounds} × ${options.seconds} s, ${options.connections} connections, ${generator}, ` +
    `backends: ${backends.text}; ${cores.text}`;
  console.log(`\n${conditions}`);
  const measured = await compete(entrants, backends, { options, generator, cores });
  await backends.stop();
  const figures = figuresOf(measured);
  for (const scenario of options.scenarios) {
    console.log(`\n${scenario.title}\n`);
    console.log(
      tableOf(
        figures.filter((one) => one.scenario === scenario.name),
        entrants,
      ),
    );
  }
  const absences = absencesText(entrants);
  if (absences !== '') console.log(`\n${absences}`);
  keep(options, conditions, entrants, measured, figures);
  return conclude(options, entrants, figures);
}

/** Starts the proxy before echo backends and checks it there. */
async function examine(peer: Peer, cores: Cores): Promise<Entrant> {
  const version = peer.version();
  const entrant = { name: peer.name, version, sticky: peer.sticky };
  if (version === null) return { ...entrant, outcome: 'absent', faults: [] };
  const backends = [await startEchoBackend('a'), await startEchoBackend('b')];
  let faults: readonly string[];
  try {
    const running = await startPeer(peer, backends, cores.proxy, CONNECTIONS_MAX);
    faults = await check(running.port, peer.sticky !== null);
    await running.stop();
  } catch (error) {
    faults = [sentence(error)];
  }
  for (const backend of backends) backend.close();
  const outcome = faults.length === 0 ? 'measured' : 'failed';
  console.log(`check ${peer.name} ${version}: ${faults.length === 0 ? 'ok' : `FAILED ${faults[0]}`}`);
  return { ...entrant, outcome, faults };
}

/** What the timing knows of a proxy while it runs. A fault takes it out of the race, not the race down. */
type Racer = { readonly running: Running; fault: string | null };

/** All proxies run through the whole scenario; the rounds go A B C A B C, so that noise hits all alike. */
async function compete(
  entrants: Entrant[],
  backends: Backends,
  setting: Setting,
): Promise<readonly Measured[]> {
  const racers: Racer[] = [];
  const measured: Measured[] = [];
  for (const [index, entrant] of entrants.entries()) {
    const peer = NAMEABLE.find(({ name }) => name === entrant.name);
    if (peer === undefined || entrant.outcome !== 'measured') continue;
    try {
      const running = await startPeer(peer, backends.list, setting.cores.proxy, CONNECTIONS_MAX);
      const racer: Racer = { running, fault: null };
      racers.push(racer);
      const faults = await checkTimed(running.port, SMALL_BODY_BYTES);
      if (faults.length > 0) racer.fault = faults.join('; ');
    } catch (error) {
      entrants[index] = failed(entrant, sentence(error));
    }
  }
  for (const scenario of setting.options.scenarios) {
    measured.push(...(await runScenario(scenario, racers, setting)));
  }
  await Promise.all(racers.map(({ running }) => running.stop()));
  for (const { running, fault } of racers) {
    const index = entrants.findIndex(({ name }) => name === running.peer.name);
    if (fault !== null) entrants[index] = failed(entrants[index]!, fault);
  }
  return measured.filter(({ samples }) => samples.length > 0);
}

async function runScenario(
  scenario: Scenario,
  all: readonly Racer[],
  setting: Setting,
): Promise<readonly Measured[]> {
  const { options, generator, cores } = setting;
  const { connections, rounds, seconds, warmSeconds } = options;
  const targets = new Map<Racer, Target>();
  const samples = new Map<Racer, Sample[]>();
  const portOf = ({ running }: Racer): number | null =>
    scenario.isSecure ? running.securePort : running.port;
  const eachOf = async (step: (racer: Racer) => Promise<void>): Promise<void> => {
    for (const racer of all.filter((each) => each.fault === null && portOf(each) !== null)) {
      await step(racer).catch((error: unknown) => {
        racer.fault = sentence(error);
      });
    }
  };
  await eachOf(async (racer) => {
    const port = portOf(racer) ?? 0;
    const visitors = await visitorCookies(racer.running.port, connections);
    const target = { generator, port, scenario, visitors, connections, core: cores.load };
    await drive(target, warmSeconds);
    targets.set(racer, target);
    samples.set(racer, []);
  });
  for (let round = 1; round <= rounds; round++) {
    await eachOf(async (racer) => {
      const { peer, pid } = racer.running;
      const sample = await measure(targets.get(racer)!, pid, seconds);
      samples.get(racer)!.push(sample);
      const cost = sample.cpuMicrosPerRequest.toFixed(1);
      console.error(`${scenario.name} round ${round}: ${peer.name} ${cost} µs/request`);
    });
  }
  return [...samples].map(([{ running }, list]) => ({
    peer: running.peer.name,
    scenario: scenario.name,
    samples: list,
  }));
}

function failed(entrant: Entrant, fault: string): Entrant {
  return { ...entrant, outcome: 'failed', faults: [`while timed: ${fault}`] };
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function keep(
  options: Options,
  conditions: string,
  entrants: readonly Entrant[],
  measured: readonly Measured[],
  figures: readonly Figures[],
): void {
  const machine = {
    platform: process.platform,
    arch: process.arch,
    kernel: release(),
    node: process.version,
  };
  const text = JSON.stringify({ conditions, machine, entrants, figures, measured }, null, 2);
  for (const file of [options.json, options.svg]) mkdirSync(dirname(file), { recursive: true });
  writeFileSync(options.json, `${text}\n`);
  writeFileSync(options.svg, chartOf(options.scenarios, figures, conditions));
  console.log(`\nkept in ${options.json} and ${options.svg}`);
}

/** 0 when fine; 1 when `--assert` finds a limit broken or a proxy named by `--only` could not take part. */
function conclude(options: Options, entrants: readonly Entrant[], figures: readonly Figures[]): number {
  if (!options.isAsserting) return entrants.some(({ outcome }) => outcome === 'measured') ? 0 : 1;
  const verdict = judge(figures);
  console.log(`\n${verdict.lines.join('\n')}`);
  return verdict.isKept ? 0 : 1;
}
