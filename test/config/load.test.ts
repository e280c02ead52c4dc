// biome-ignore-all lint/suspicious/noTemplateCurlyInString: substitution is what is tested
// Properties of loadConfig that no single golden shows.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { printConfig } from '../../src/config/print.ts';

const EXAMPLES = new URL('../../config/', import.meta.url);
const GOOD = new URL('./goldens/good/', import.meta.url);
const ENV = { PORT: '9000', WEIGHT: '3', EMPTY: '' };

const texts = [EXAMPLES, GOOD].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => ({ name, text: readFileSync(new URL(name, folder), 'utf8') })),
);

function load(text: string) {
  return loadConfig(text, { file: 'f.yaml', env: ENV });
}

function loadGood(text: string) {
  const { config, problems } = load(text);
  expect(problems).toEqual([]);
  if (config === null) throw new Error('no problems, yet no configuration');
  return config;
}

describe('what is printed', () => {
  test.each(texts)('$name loads again, to the same configuration', ({ text }) => {
    const config = loadGood(text);
    const printed = printConfig(config);
    const again = loadGood(printed);
    expect(printConfig(again)).toBe(printed);
    const hidden = (value: unknown) =>
      JSON.stringify(value)
        .replace(/"(token|passphrase)":"[^"]+"/g, '"$1":"***"')
        .replace(/"secrets":\["[^"]+"/g, '"secrets":["***"');
    expect(hidden(again)).toBe(hidden(config));
  });

  test('secrets are not in it', () => {
    const config = loadGood(`
admin: { token: very-secret-token }
pools: { shop: { sticky: { mode: cookie-pin, secret: very-secret-secret }, servers: [http://127.0.0.1:1] } }
`);
    expect(config.admin?.token).toBe('very-secret-token');
    expect(config.pools[0]?.sticky.secrets).toEqual(['very-secret-secret']);
    expect(printConfig(config)).not.toContain('very-secret');
  });
});

test('the configuration is frozen all the way down', () => {
  const seen: unknown[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    seen.push(value);
    expect(Object.isFrozen(value)).toBe(true);
    Object.values(value).forEach(visit);
  };
  for (const { text } of texts) visit(loadGood(text));
  expect(seen.length).toBeGreaterThan(100);
});

test('YAML 1.1 booleans mean on and off', () => {
  const config = loadGood(
    'admin: false\npools: { a: { state: shared, health: false, rebalance: { mode: true }, servers: [http://a] } }',
  );
  expect(config.admin).toBeNull();
  expect(config.pools[0]?.health).toBeNull();
  expect(config.pools[0]?.rebalance.mode).toBe('on');
});

test('a number from the environment is a number where one is expected and text where text is', () => {
  const text =
    'admin: { token: "${N}" }\nthreads: ${N}\npools: { a: { servers: [{ url: http://a, name: "${N}" }] } }';
  const { config } = loadConfig(text, { file: 'f.yaml', env: { N: '007' } });
  expect([config?.threads, config?.admin?.token, config?.pools[0]?.servers[0]?.name]).toEqual([
    7,
    '007',
    '007',
  ]);
});

test('a byte order mark and CRLF line ends do not move places', () => {
  const { problems } = load('\uFEFFthreads: 2\r\nx: 1\r\npools: {}\r\n');
  expect(problems.map(({ line, column }) => [line, column])).toEqual([
    [2, 1],
    [3, 8],
  ]);
});

test('a text above 4 MiB is refused without being read', () => {
  const { config, problems } = load(`# ${'x'.repeat(4 * 1024 * 1024)}\npools: {}`);
  expect(config).toBeNull();
  expect(problems).toHaveLength(1);
  expect(problems[0]?.message).toMatch(/larger than 4194304/);
});

test('deep nesting is a problem, not a crash', () => {
  for (const text of ['['.repeat(20_000), '{a: '.repeat(10_000), `a:\n${'- '.repeat(10_000)}x`]) {
    const { config, problems } = load(text);
    expect(config).toBeNull();
    expect(problems.length).toBeGreaterThan(0);
  }
});

test('more rate limits than there is room for are an error, wherever they stand', () => {
  const route = '{ pool: a, rateLimit: { rate: 1/s } }';
  const yaml = (count: number): string =>
    `listen: { rateLimit: { rate: 1/s } }\nroutes: [${Array(count).fill(route).join(', ')}]\npools: { a: { servers: ["http://a"] } }\n`;
  const problems = (count: number) =>
    loadConfig(yaml(count), { file: 'f', env: {} }).problems.map(({ message }) => message);
  expect(problems(63)).toEqual([]);
  expect(problems(64)).toEqual(['there may be at most 64 rate limits']);
});
