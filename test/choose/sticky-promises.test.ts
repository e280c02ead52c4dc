// The table of docs/sticky-sessions.md, cell by cell. What sessions.file keeps is tried in test/e2e.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { WEIGHT_SCALE } from '../../src/shared/control.ts';
import { World } from './fixture.ts';
import { type Client, MODES, type ModeCase, visit } from './modes.ts';

const CLIENTS = 24;
const ALL = ['a', 'b', 'c', 'd'];

const ROWS: Readonly<Record<string, string>> = {
  '`cookie-hash`': 'cookie-hash, own cookie',
  '`cookie-pin`': 'cookie-pin',
  "`cookie-hash` with the application's cookie": 'cookie-hash, application cookie',
  '`learn`': 'learn by cookie',
  '`header-hash`': 'header-hash',
  '`address-hash`': 'address-hash',
};

interface Scene {
  readonly mode: ModeCase;
  readonly world: World;
  readonly clients: readonly Client[];
  readonly homes: readonly (string | null)[];
}

function begin(mode: ModeCase): Scene {
  const world = new World(mode.options);
  world.reload(['a', 'b', 'c']);
  const clients = Array.from({ length: CLIENTS }, (_, number) => mode.client(number));
  for (const client of clients) visit(world, client);
  return { mode, world, clients, homes: clients.map((client) => visit(world, client).server) };
}

/** Another balancer, or this one without its table. */
function another({ mode }: Scene, seed: number): World {
  const world = new World({ ...mode.options, seed, firstSlot: 20 + seed });
  world.reload(['a', 'b', 'c']);
  return world;
}

/** What each column does to the balancer; the worlds that clients then come to. */
const COLUMNS: Readonly<Record<string, (scene: Scene) => readonly World[]>> = {
  'another server added': ({ world }) => {
    world.reload(ALL);
    return [world];
  },
  'another server removed': ({ world }) => {
    world.reload(['a', 'b']);
    return [world];
  },
  're-weighted': ({ world }) => {
    ['a', 'b', 'c'].forEach((name, at) => {
      world.shared.control.setWeight(world.slotOf(name), [0, 10, 1][at]! * WEIGHT_SCALE);
    });
    return [world];
  },
  'restart without': (scene) => [another(scene, 7), another(scene, 7)],
  'second balancer, same `secret`': (scene) => [another(scene, 8), another(scene, 9)],
};

const lines = readFileSync(new URL('../../docs/sticky-sessions.md', import.meta.url), 'utf8').split('\n');
const [header = [], , ...rows] = lines
  .filter((line) => line.startsWith('|'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );

test('the table has all modes and columns', () => {
  expect(rows.map(([mode]) => mode)).toEqual(Object.keys(ROWS));
  expect(header.slice(1).filter((title) => title !== 'restart with `sessions.file`')).toEqual(
    Object.keys(COLUMNS),
  );
});

describe.each(rows)('%s', (title, ...cells) => {
  const mode = MODES.find((each) => each.title === ROWS[title!])!;

  test.each(Object.keys(COLUMNS))('%s', (column) => {
    const scene = begin(mode);
    const { clients, homes } = scene;
    const promise = cells[header.indexOf(column) - 1];
    const outcomes = COLUMNS[column]!(scene).map((world) =>
      clients.map((client) => world.exchange(client.request())),
    );
    const servers = outcomes.map((of) => of.map(({ server }) => server));
    const isOfRemoved = (home: string | null): boolean => column === 'another server removed' && home === 'c';
    switch (promise) {
      case 'kept':
        for (const of of servers) {
          homes.forEach((home, at) => {
            if (!isOfRemoved(home)) expect(of[at]).toBe(home);
          });
        }
        return;
      case 'by rank':
        expect(servers[1]).toEqual(servers[0]);
        return;
      case 'placed anew':
        for (const of of outcomes)
          expect(new Set(of.map(({ outcome }) => outcome))).toEqual(new Set(['new']));
        return;
      default:
        expect.unreachable(`nobody tries "${promise}"`);
    }
  });
});
