// What every command says with --json: JSON alone on standard output, with the fields that scripts rely on.

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { SCHEMAS, type Schema } from '../../src/admin/openapi-schemas.ts';
import { createProgram } from '../../src/cli.ts';
import { faults } from '../support/api-schema.ts';
import { httpBackend } from '../support/backend.ts';
import { command } from '../support/command.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { plainClient } from '../support/plain-client.ts';

const { Status, Pool, Changed, Plan, Explanation, Reloaded, Event } = SCHEMAS;

/** With the name of the pool before it. */
const inPool = ({ properties }: Schema): Schema => ({
  type: 'object',
  properties: { pool: { type: 'string' }, ...properties },
});

const SESSIONS: Schema = {
  type: 'object',
  properties: {
    sessionTable: Status.properties?.['sessionTable'] ?? {},
    pools: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          ...Object.fromEntries(
            ['name', 'sessions', 'skew', 'loadSkew', 'sessionsEffective', 'moves', 'lost', 'hottest'].map(
              (name) => [name, Pool.properties?.[name] ?? {}],
            ),
          ),
          servers: {
            type: 'array',
            items: {
              type: 'object',
              properties: Object.fromEntries(
                ['name', 'weight', 'sessions', 'created', 'ended', 'lost'].map((name) => [
                  name,
                  SCHEMAS.Server.properties?.[name] ?? {},
                ]),
              ),
            },
          },
        },
      },
    },
  },
};

/** What is said once a second while a drain is waited for. */
const PROGRESS: Schema = {
  type: 'object',
  properties: {
    pool: { type: 'string' },
    server: { type: 'string' },
    sessions: { type: 'integer' },
    inFlight: { type: 'integer' },
    sessionsPerMinute: { type: ['number', 'null'] },
    secondsLeft: { type: ['number', 'null'] },
    isEmpty: { type: 'boolean' },
    isOver: { type: 'boolean' },
  },
};

/** In this order: some change what the next ones find. */
const SAID: readonly (readonly [string[], Schema])[] = [
  [['status'], Status],
  [['status', '--check'], Status.properties?.['summary'] ?? {}],
  [['sessions'], SESSIONS],
  [['plan', 'drain', 'shop/a'], inPool(Plan)],
  [['plan', 'add', 'shop/new'], inPool(Plan)],
  [['plan', 'remove', 'shop/a'], inPool(Plan)],
  [['explain', '--cookie', 'sid=one'], inPool(Explanation)],
  [['explain'], inPool(Explanation)],
  [['weight', 'shop/a', '2'], Changed],
  [['drain', 'shop/a'], Changed],
  [['drain', 'shop/a', '--wait', '--deadline', '1s'], PROGRESS],
  [['maintenance', 'shop/a'], Changed],
  [['ready', 'shop/a'], Changed],
  [['ready', 'shop/a', '--wait'], Changed],
  [['reload'], Reloaded],
];

test('each is JSON, a document or one on each line, and has what is described', async () => {
  const servers = await Promise.all(['a', 'b'].map((name) => httpBackend(name)));
  const holdfast = await runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    sticky: { mode: learn, cookie: sid }
    health: { interval: 100ms }
    servers: [{ name: a, url: "${servers[0]?.url}" }, { name: b, url: "${servers[1]?.url}" }]
`);
  const client = plainClient(holdfast.port);
  for (let asked = 0; asked < 20; asked += 1)
    await client.ask('GET', '/', { cookie: `sid=${asked % 2 === 0 ? 'one' : 'two'}` });
  const say = async (args: readonly string[]): Promise<unknown[]> => {
    const { status, out, err } = await command([...args, '--json', '--admin', holdfast.adminUrl]);
    const isLate = args.includes('--deadline') && status === 3;
    expect([args, isLate ? 0 : status, err]).toEqual([args, 0, '']);
    return out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  };
  for (const [args, schema] of SAID) {
    const documents = await say(args);
    if (schema !== PROGRESS) expect([args, documents.length]).toEqual([args, 1]);
    for (const document of documents) expect([args, faults(document, schema, '')]).toEqual([args, []]);
  }
  writeFileSync(holdfast.configFile, 'pools: {}\n');
  const refused = await command(['reload', '--json', '--admin', holdfast.adminUrl]);
  expect(refused).toMatchObject({
    status: 1,
    out: '',
    err: expect.stringMatching(/^reload refused, nothing has changed: /),
  });
  const events = (await say(['events'])) as { at: string; number: number; type: string }[];
  expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['verdict', 'server', 'reload']));
  expect(events.filter(({ type }) => type === 'reload')).toEqual(
    [true, false].map((ok) => expect.objectContaining({ ok, by: 'the command from 127.0.0.1' })),
  );
  for (const { at, number, type } of events) expect(faults({ at, number, type }, Event, 'event')).toEqual([]);

  const have = createProgram([]).commands.filter(({ options }) =>
    options.some(({ long }) => long === '--json'),
  );
  const tried = new Set(['events', ...SAID.map(([args]) => args[0])]);
  expect(have.map((one) => one.name()).filter((name) => !tried.has(name))).toEqual([]);
}, 120_000);
