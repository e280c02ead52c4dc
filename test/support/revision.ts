// Revisions from a few words, made by the real parser and the real slot registry.

import { loadConfig } from '../../src/config/load.ts';
import { SlotRegistry } from '../../src/control/slots.ts';
import type { Revision } from '../../src/shared/revision.ts';
import type { SharedState } from '../../src/shared/shared-state.ts';

export interface PoolText {
  readonly name?: string;
  /** YAML of the pool's other keys, one a line, unindented. */
  readonly more?: string;
  /** Each `name=url` with further keys after spaces: `a=http://127.0.0.1:1 weight:2`. */
  readonly servers: readonly string[];
}

export class Revisions {
  readonly #registry: SlotRegistry;
  /** YAML of the one listener. */
  listener = '{ address: 127.0.0.1:0 }';

  constructor(shared: SharedState) {
    this.#registry = new SlotRegistry(shared);
  }

  /** The next revision with these pools. */
  next(...pools: readonly PoolText[]): Revision {
    const routes = pools.map(({ name = 'shop' }, index) => `{ path: /${index}, pool: ${name} }`);
    const text = [
      `listen: [${this.listener}]`,
      `routes: [${routes.join(', ')}]`,
      'pools:',
      ...pools.map(poolYaml),
    ].join('\n');
    const { config, problems } = loadConfig(text, { file: 'test.yaml', env: {} });
    if (config === null)
      throw new Error(`the test's own configuration is wrong: ${JSON.stringify(problems)}`);
    return this.#registry.revise(config, 'a secret of the test');
  }
}

/** Slot of a server by `pool/server`. */
export function slotOf(revision: Revision, path: string): number {
  const [poolName, serverName] = path.split('/');
  const pool = revision.pools.find(({ config }) => config.name === poolName);
  const index = pool?.config.servers.findIndex(({ name }) => name === serverName) ?? -1;
  const slot = pool?.slots[index];
  if (slot === undefined) throw new Error(`no server ${path}`);
  return slot;
}

function poolYaml({ name = 'shop', more = '', servers }: PoolText): string {
  const lines = servers.map((server) => {
    const [first = '', ...others] = server.split(' ');
    const at = first.indexOf('=');
    const keys = [
      `name: ${first.slice(0, at)}`,
      `url: ${first.slice(at + 1)}`,
      ...others.map((key) => key.replace(':', ': ')),
    ];
    return `      - { ${keys.join(', ')} }`;
  });
  const indented = more
    .split('\n')
    .filter(Boolean)
    .map((line) => `    ${line}`);
  return [`  ${name}:`, ...indented, '    servers:', ...lines].join('\n');
}
