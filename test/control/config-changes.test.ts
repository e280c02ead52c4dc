import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import { describeChanges } from '../../src/control/config-changes.ts';
import type { OperatorChange } from '../../src/control/operator-changes.ts';

function configOf(...servers: readonly string[]): HoldfastConfig {
  const list = servers.map(
    (more, index) => `{ name: s${index}, url: "http://127.0.0.1:${index + 1}"${more} }`,
  );
  const text = `
listen: 127.0.0.1:0
pools: { shop: { servers: [${list.join(', ')}] } }
`;
  const { config } = loadConfig(text, { file: 'test.yaml', env: {} });
  if (config === null) throw new Error("the test's own configuration is wrong");
  return config;
}

test('servers that come, go and change, a sentence each; what the operator has set is said to stand', () => {
  const old = configOf(', weight: 1', ', weight: 1', ', weight: 1');
  const next = configOf(', weight: 3', ', weight: 3, mode: drain', ', weight: 3', '');
  const settings = new Map<string, OperatorChange>([
    ['shop/s1', { weight: 5 }],
    ['shop/s2', { weight: 0, mode: 'maintenance' }],
  ]);
  expect(describeChanges(old, next, settings)).toEqual([
    'pool shop: server s3 added',
    'pool shop: server s0: weight 1 -> 3',
    'pool shop: server s1: mode ready -> drain',
    'pool shop: server s1: weight 1 -> 3 in the file; 5, set by the operator, stands',
    'pool shop: server s2: weight 1 -> 3 in the file; 0, set by the operator, stands',
  ]);
  expect(describeChanges(next, next, settings)).toEqual([]);
});
