// The layout is a test: which room may import which, no cycles, sizes, and calls that belong to one room only.

import { readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Node, parse } from 'acorn';
import { describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILE_LINES_MAX = 400;
/** Where a request passes, and where what it passes is decided: a file is one idea. */
const SMALL_FILES = ['src/exchange/', 'src/proxy/', 'src/choose/', 'src/control/'];
const SMALL_FILE_LINES_MAX = 300;
const FUNCTION_LINES_MAX = 70;
const MEDIAN_FUNCTION_LINES_MAX = 7;

/** Each room and the rooms it may import, types included. `run` composes; `cli` and its commands are the face. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  tls: ['base'],
  acme: ['base', 'tls'],
  config: ['base', 'tls'],
  http1: [],
  http2: ['base', 'http1'],
  shared: ['base', 'config', 'tls', 'http2'],
  choose: ['base', 'config', 'http1', 'shared'],
  health: ['base', 'config', 'shared'],
  sessions: ['base', 'config', 'shared'],
  metrics: ['base', 'http2', 'shared', 'sessions'],
  exchange: ['base', 'config', 'http1', 'shared', 'choose'],
  proxy: ['base', 'tls', 'config', 'http1', 'http2', 'shared', 'exchange'],
  control: ['base', 'config', 'shared', 'choose', 'health', 'sessions', 'metrics'],
  admin: ['base', 'config', 'shared', 'choose', 'sessions', 'metrics', 'control'],
  embed: [
    'base',
    'config',
    'http1',
    'shared',
    'choose',
    'health',
    'sessions',
    'metrics',
    'admin',
    'exchange',
    'proxy',
    'control',
  ],
  run: ['base', 'tls', 'acme', 'config', 'shared', 'sessions', 'proxy', 'control', 'admin'],
  cli: ['base', 'config', 'control', 'run', 'admin'],
  'session-store': ['base'],
  demo: ['base', 'config', 'control', 'run', 'cli', 'session-store'],
  lab: ['base', 'demo', 'sessions', 'cli'],
};

/** Text that may stand only in the named files or rooms (prefix of the path under src/). */
const BANNED: readonly {
  readonly pattern: RegExp;
  readonly what: string;
  readonly allowed: readonly string[];
}[] = [
  { pattern: /\bDate\.now\(/, what: 'Date.now', allowed: ['base/clock.ts', 'demo/', 'lab/', 'admin/page/'] },
  { pattern: /\bnew Date\(\)/, what: 'new Date()', allowed: ['demo/', 'lab/', 'admin/page/'] },
  { pattern: /\bMath\.random\(/, what: 'Math.random', allowed: ['demo/page.ts', 'admin/page/'] },
  {
    pattern: /\bset(Timeout|Interval)\(/,
    what: 'timers',
    allowed: [
      'base/clock.ts',
      'base/scheduler.ts',
      'base/standard-stream.ts',
      'control/access-log-writer.ts',
      'control/lookup.ts',
      'run/',
      'demo/',
      'lab/',
      'exchange/deadlines.ts',
      'admin/',
      'health/',
      'cli/',
      'embed/',
    ],
  },
  {
    pattern: /\bprocess\.env\b/,
    what: 'process.env',
    allowed: [
      'run/',
      'cli/',
      'cli.ts',
      'demo/',
      'lab/',
      'config/read-config-file.ts',
      'control/search-list.ts',
      'embed/config-input.ts',
    ],
  },
  // a server has as many errors as connections that it cannot accept; the second would end the process
  {
    pattern: /server\.once\('error'/i,
    what: "once('error') of a server",
    allowed: ['proxy/open-server.ts', 'admin/server.ts', 'demo/'],
  },
  { pattern: /\bconsole\./, what: 'console', allowed: ['demo/page.ts'] },
  { pattern: /\bAtomics\.|SharedArrayBuffer\(/, what: 'Atomics', allowed: ['shared/', 'base/clock.ts'] },
];

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** Absolute paths of the project files it imports. */
  readonly imports: readonly string[];
}

function filesUnder(directory: string): string[] {
  return readdirSync(join(ROOT, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => join(directory, name))
    .sort();
}

function load(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) => match[1] ?? '');
  return { path, text, imports: specifiers.map((specifier) => resolve(ROOT, dirname(path), specifier)) };
}

/** Beside src: they come with a checkout and import from it, never the other way round. */
const DEVELOPMENT = ['demo', 'lab'];
const sources = ['src', ...DEVELOPMENT].flatMap(filesUnder).map(load);
const tests = filesUnder('test').map(load);

function roomOf(path: string): string {
  const top = path.split('/')[0] ?? '';
  if (DEVELOPMENT.includes(top)) return top;
  const inside = relative('src', path);
  return inside.includes('/') ? (inside.split('/')[0] ?? '') : inside.replace(/\.ts$/, '');
}

describe('the layout', () => {
  test('rooms import only the rooms below them', () => {
    const wrong = sources.flatMap((file) => {
      const room = roomOf(file.path);
      const allowed = ROOMS[room] ?? (room === 'index' ? Object.keys(ROOMS) : undefined);
      if (allowed === undefined) return [`${file.path}: the room ${room} is not in the table`];
      return file.imports
        .map((path) => roomOf(relative(ROOT, path)))
        .filter((target) => target !== room && !allowed.includes(target))
        .map((target) => `${file.path}: ${room} may not import ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  test('no room has a permission that nobody uses', () => {
    const used = new Set(
      sources.flatMap((file) =>
        file.imports.map((path) => `${roomOf(file.path)} imports ${roomOf(relative(ROOT, path))}`),
      ),
    );
    const granted = Object.entries(ROOMS).flatMap(([room, rooms]) =>
      rooms.map((to) => `${room} imports ${to}`),
    );
    expect(granted.filter((permission) => !used.has(permission))).toEqual([]);
  });

  test('no file imports itself through others', () => {
    const byPath = new Map(sources.map((file) => [join(ROOT, file.path), file]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        const cycle = [...trail.slice(trail.indexOf(path)), path].map((step) => relative(ROOT, step));
        cycles.push(cycle.join(' -> '));
        return;
      }
      if (done.has(path)) return;
      for (const next of byPath.get(path)?.imports ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of byPath.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  test('every source file opens with a sentence of purpose', () => {
    const silent = sources.filter((file) => !file.text.replace(/^#!.*\n/, '').startsWith('//'));
    expect(silent.map((file) => file.path)).toEqual([]);
  });

  test('tests import the sources they test by their public files, never another test', () => {
    const wrong = tests.filter((file) => file.imports.some((path) => path.endsWith('.test.ts')));
    expect(wrong.map((file) => file.path)).toEqual([]);
  });
});

describe('sizes', () => {
  const linesOf = ({ text }: SourceFile): number => text.replace(/\n$/, '').split('\n').length;

  test(`no file has more than ${FILE_LINES_MAX} lines`, () => {
    // what is generated is read in its source
    const written = [...sources, ...tests].filter(({ text }) => !/^\/\/ Generated from /m.test(text));
    const long = written.filter((file) => linesOf(file) > FILE_LINES_MAX);
    expect(long.map((file) => file.path)).toEqual([]);
  });

  test(`in ${SMALL_FILES.join(', ')} none has more than ${SMALL_FILE_LINES_MAX}`, () => {
    const small = sources.filter(({ path }) => SMALL_FILES.some((room) => path.startsWith(room)));
    expect(small.filter((file) => linesOf(file) > SMALL_FILE_LINES_MAX).map((file) => file.path)).toEqual([]);
  });

  test(`half of the functions that have a name have at most ${MEDIAN_FUNCTION_LINES_MAX} lines`, () => {
    const lengths = sources
      .flatMap(functionsOf)
      .filter(({ isArrow }) => !isArrow)
      .map(({ length }) => length)
      .sort((first, second) => first - second);
    expect(lengths[lengths.length >> 1]).toBeLessThanOrEqual(MEDIAN_FUNCTION_LINES_MAX);
  });

  test(`no function has more than ${FUNCTION_LINES_MAX} lines, unless it says why`, () => {
    expect(sources.flatMap(longFunctions)).toEqual([]);
  });
});

describe('calls that belong to one room', () => {
  for (const { pattern, what, allowed } of BANNED) {
    test(`${what} only in ${allowed.join(', ')}`, () => {
      const wrong = sources.filter((file) => {
        const inside = file.path.replace(/^src\//, '');
        return (
          !allowed.some((prefix) => inside.startsWith(prefix)) && pattern.test(withoutComments(file.text))
        );
      });
      expect(wrong.map((file) => file.path)).toEqual([]);
    });
  }
});

describe('bytes of a read buffer', () => {
  const parts = sources.filter(
    ({ path }) => path.startsWith('src/proxy/') && path !== 'src/proxy/read-buffers.ts',
  );

  test('are written to sockets by Reader.writeTo alone: everything else on the data path is text', () => {
    const writes = parts.flatMap(({ path, text }) =>
      [...text.matchAll(/\bsocket\.write\(.*/g)].map(([line]) => `${path}: ${line}`),
    );
    expect(writes.length).toBeGreaterThan(3);
    expect(writes.filter((line) => !line.includes("'latin1')"))).toEqual([]);
  });

  test('are not treated by whether a socket is corked', () => {
    expect(parts.filter(({ text }) => text.includes('writableCorked')).map(({ path }) => path)).toEqual([]);
  });
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

interface FunctionSize {
  /** Line that it begins in, from 1. */
  readonly first: number;
  readonly length: number;
  /** Has no name of its own. */
  readonly isArrow: boolean;
}

function functionsOf(file: SourceFile): readonly FunctionSize[] {
  const code = stripTypeScriptTypes(file.text);
  const found: FunctionSize[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    if (typeof node !== 'object' || node === null || !('type' in node)) return;
    const { type, start, end } = node as Node;
    if (/Function/.test(type)) {
      const first = code.slice(0, start).split('\n').length;
      const { length } = code.slice(start, end).split('\n');
      found.push({ first, length, isArrow: type === 'ArrowFunctionExpression' });
    }
    for (const value of Object.values(node)) visit(value);
  };
  visit(parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true }));
  return found;
}

/** A long function is allowed when a line above it gives the reason: `// structure: long function because ...`. */
function longFunctions(file: SourceFile): readonly string[] {
  const lines = file.text.split('\n');
  return functionsOf(file)
    .filter(({ first, length }) => {
      const above = lines.slice(Math.max(0, first - 12), first).join('\n');
      return length > FUNCTION_LINES_MAX && !above.includes('// structure: long function because');
    })
    .map(({ first, length }) => `${file.path}:${first} has ${length} lines`);
}
