// The configuration that a page of docs/recipes shows, as a test runs it: the first block of YAML in the page, with the
// test's servers in place of the page's, any port, a file of its own for sessions, and checks often enough for a test.

import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { testFolder } from './application.ts';

interface Pool {
  servers: unknown;
  health?: object;
}

export function recipe(
  page: string,
  servers: readonly { readonly name: string; readonly url: string }[],
): string {
  const [, text] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
  if (text === undefined) throw new Error('the page has no block of YAML');
  const config = parse(text) as { sessions?: object; pools: Record<string, Pool> };
  if (config.sessions !== undefined) config.sessions = { file: join(testFolder(), 'holdfast.sessions') };
  for (const pool of Object.values(config.pools)) {
    pool.servers = servers.map(({ name, url }) => ({ name, url }));
    pool.health = { ...pool.health, interval: '200ms', rise: 1, fall: 1 };
  }
  return stringify({ ...config, threads: 2, listen: '127.0.0.1:0', admin: { address: '127.0.0.1:0' } });
}
