/** The command line of the benchmark. */
import { parseArgs } from 'node:util';
import { NAMEABLE, PEERS } from './peers.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

export const USAGE = `usage: npm run bench -- [options]
  --quick              one round of 2 s each; for a first look and for CI
  --only A,B           only these proxies: ${NAMEABLE.map((peer) => peer.name).join(', ')}
  --scenario A,B       only these: ${SCENARIOS.map((scenario) => scenario.name).join(', ')}
  --seconds N          length of a run (5)
  --rounds N           runs of each proxy, taken in turn (3)
  --connections N      keep-alive client connections (64)
  --generator NAME     wrk or autocannon (wrk where installed)
  --json FILE          default bench-results/bench.json
  --svg FILE           default bench-results/bench.svg
  --assert             exit 1 when Holdfast costs more than its limits against haproxy and http-proxy
  --help`;

export type Options = {
  readonly seconds: number;
  readonly rounds: number;
  readonly warmSeconds: number;
  readonly connections: number;
  readonly only: readonly string[];
  readonly scenarios: readonly Scenario[];
  readonly generator: string | undefined;
  readonly json: string;
  readonly svg: string;
  readonly isAsserting: boolean;
  readonly isHelp: boolean;
};

/** Reads the arguments; an error tells the first one that makes no sense. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      scenario: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      connections: { type: 'string' },
      generator: { type: 'string' },
      json: { type: 'string' },
      svg: { type: 'string' },
      assert: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.generator !== undefined && !['wrk', 'autocannon'].includes(values.generator)) {
    throw new Error(`--generator ${values.generator}: allowed are wrk and autocannon`);
  }
  const scenarioNames = chosen(
    '--scenario',
    values.scenario,
    SCENARIOS.map((scenario) => scenario.name),
  );
  return {
    seconds: whole('--seconds', values.seconds, values.quick ? 2 : 5),
    rounds: whole('--rounds', values.rounds, values.quick ? 1 : 3),
    warmSeconds: values.quick ? 1 : 6,
    connections: whole('--connections', values.connections, 64),
    only:
      values.only === undefined
        ? PEERS.map((peer) => peer.name)
        : chosen(
            '--only',
            values.only,
            NAMEABLE.map((peer) => peer.name),
          ),
    scenarios: SCENARIOS.filter((scenario) => scenarioNames.includes(scenario.name)),
    generator: values.generator,
    json: values.json ?? 'bench-results/bench.json',
    svg: values.svg ?? 'bench-results/bench.svg',
    isAsserting: values.assert,
    isHelp: values.help,
  };
}

function chosen(option: string, text: string | undefined, allowed: readonly string[]): readonly string[] {
  if (text === undefined) return allowed;
  const names = text.split(',');
  const unknown = names.find((name) => !allowed.includes(name));
  if (unknown !== undefined) throw new Error(`${option} ${unknown}: allowed are ${allowed.join(', ')}`);
  return names;
}

function whole(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 3600) {
    throw new Error(`${option} ${text}: allowed are whole numbers from 1 to 3600`);
  }
  return value;
}
