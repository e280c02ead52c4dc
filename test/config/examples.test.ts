// biome-ignore-all lint/suspicious/noTemplateCurlyInString: substitution is what is tested
// The files in config/ and docs/ hold what the schema says, and the examples are valid.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { loadConfig } from '../../src/config/load.ts';
import { GENERATED } from '../../src/config/write-docs.ts';

const ROOT = new URL('../../', import.meta.url);
const EXAMPLES = readdirSync(new URL('config/', ROOT)).filter((name) => name.endsWith('.yaml'));

function read(file: string): string {
  return readFileSync(new URL(file, ROOT), 'utf8');
}

function load(file: string) {
  return loadConfig(read(file), { file, env: {} });
}

describe.each(EXAMPLES)('config/%s', (name) => {
  test('loads without problems or warnings', () => {
    const { config, problems, warnings } = load(`config/${name}`);
    expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
    expect(config).not.toBeNull();
  });

  test('tells editors where the schema is', () => {
    expect(read(`config/${name}`).split('\n')[0]).toBe(
      '# yaml-language-server: $schema=./holdfast.schema.json',
    );
  });

  test('is valid for editors', () => {
    const schema = z.fromJSONSchema(configJsonSchema());
    expect(schema.safeParse(parse(read(`config/${name}`))).error?.issues).toBeUndefined();
  });
});

test.each(GENERATED)('$file is in step with the schema (npm run docs)', ({ file, text }) => {
  expect(read(file)).toBe(text());
});

describe('the JSON Schema', () => {
  const schema = z.fromJSONSchema(configJsonSchema());
  const pool = (inside: object) => ({ pools: { a: { servers: ['http://a'], ...inside } } });

  test.each([
    ['an unknown key', { ...pool({}), thread: 2 }],
    ['an unknown policy', pool({ policy: 'fastest' })],
    ['a duration without a unit', pool({ slowStart: '5' })],
    ['a pool without servers', { pools: { a: {} } }],
    ['a server without url', pool({ servers: [{ name: 'a' }] })],
    ['a weight out of range', pool({ servers: [{ url: 'http://a', weight: 2_000 }] })],
  ])('refuses %s', (_, value) => {
    expect(schema.safeParse(value).success).toBe(false);
  });

  test.each([
    ['a variable for a number', { ...pool({}), threads: '${THREADS}' }],
    ['short forms', { ...pool({ sticky: 'none', health: 'off' }), listen: ':8080', accessLog: 'json' }],
  ])('accepts %s', (_, value) => {
    expect(schema.safeParse(value).error?.issues).toBeUndefined();
  });
});

describe('config/reference.yaml', () => {
  const text = read('config/reference.yaml');

  test('names every key of the schema, as a key or in a comment beside one', () => {
    const keys = new Set<string>();
    const collect = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      if ('properties' in value && typeof value.properties === 'object' && value.properties !== null) {
        for (const key of Object.keys(value.properties)) keys.add(key);
      }
      Object.values(value).forEach(collect);
    };
    collect(configJsonSchema());
    expect(keys.size).toBeGreaterThan(60);
    expect([...keys].filter((key) => !new RegExp(`\\b${key}:`).test(text))).toEqual([]);
  });

  test('shows the defaults', () => {
    const smallest = loadConfig('pools: { shop: { servers: ["http://127.0.0.1:3001"] } }', {
      file: 'f',
      env: {},
    }).config;
    const { config } = load('config/reference.yaml');
    const shown = config?.pools[0];
    const preset = smallest?.pools[0];
    expect({ ...config, routes: [], pools: [] }).toEqual({ ...smallest, routes: [], pools: [] });
    expect({ ...shown, sticky: { ...shown?.sticky, mode: 'none' }, servers: [] }).toEqual({
      ...preset,
      servers: [],
    });
    expect({ ...shown?.servers[0], name: 'x' }).toEqual({ ...preset?.servers[0], name: 'x' });
  });
});
