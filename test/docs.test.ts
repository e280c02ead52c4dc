// What the documents say must be so: links lead somewhere, scripts, commands, options, configuration keys and metrics
// exist, and complete configurations load.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { register as registerDemo } from '../demo/command.ts';
import { register as registerLab } from '../lab/command.ts';
import { FAILURES } from '../src/base/failure.ts';
import { createProgram } from '../src/cli.ts';
import { loadConfig } from '../src/config/load.ts';
import { configSchema } from '../src/config/schema.ts';
import { CATALOGUE } from '../src/metrics/catalogue.ts';
import { keyPaths } from './support/key-paths.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Page {
  readonly path: string;
  readonly text: string;
  /** Contents of code spans and blocks, one line each. */
  readonly code: readonly string[];
}

function pages(): readonly Page[] {
  const docs = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', ...docs.sort()].map((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    return { path, text, code: codeOf(text) };
  });
}

function codeOf(text: string): string[] {
  const code: string[] = [];
  let isFenced = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('```')) isFenced = !isFenced;
    else if (isFenced || line.startsWith('    ')) code.push(line.trim());
    else code.push(...[...line.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ''));
  }
  return code;
}

const PAGES = pages();

/** Everything that is wrong, as `page: what`. */
function wrong(find: (page: Page) => readonly string[]): readonly string[] {
  return PAGES.flatMap((page) => find(page).map((what) => `${page.path}: ${what}`));
}

/** As GitHub makes anchors. */
function anchors(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the documents', () => {
  test('name every type of the library', () => {
    const door = readFileSync(join(ROOT, 'src/index.ts'), 'utf8');
    const exported = [...door.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap((match) =>
      (match[1] ?? '').split(',').map((name) => name.replace(/\btype\b/, '').trim()),
    );
    const text = readFileSync(join(ROOT, 'docs/embedding.md'), 'utf8');
    expect(
      exported.filter((name) => name !== '' && !text.includes(`\`${name}\``) && !text.includes(`${name}(`)),
    ).toEqual([]);
  });

  test('link to files and headings that exist', () => {
    const dead = wrong(({ path, text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map((match) => match[1] ?? '')
        .filter((link) => !/^[a-z]+:/.test(link))
        .filter((link) => {
          const [file = '', anchor = ''] = link.split('#');
          const target = file === '' ? path : join(dirname(path), file);
          if (!existsSync(join(ROOT, target))) return true;
          return anchor !== '' && !anchors(readFileSync(join(ROOT, target), 'utf8')).includes(anchor);
        }),
    );
    expect(dead).toEqual([]);
  });

  test('have tables whose rows are as long as their heads', () => {
    const uneven = wrong(({ text }) => {
      let columns = 0;
      // a vertical line divides cells within code too, unless it is escaped
      return text
        .replace(/^```[\s\S]*?^```$/gm, '')
        .split('\n')
        .filter((line) => {
          const cells = line.startsWith('|') ? line.replaceAll('\\|', '').split('|').length : 0;
          columns = cells === 0 || columns === 0 ? cells : columns;
          return cells !== columns;
        });
    });
    expect(uneven).toEqual([]);
  });

  test('name npm scripts that exist', () => {
    const { scripts }: { scripts: Record<string, string> } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    );
    const named = wrong(({ text }) =>
      [...text.matchAll(/npm run ([a-z0-9:-]+)/g)]
        .map((match) => match[1] ?? '')
        .filter((name) => !Object.hasOwn(scripts, name)),
    );
    expect(named).toEqual([]);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(['start', 'test']));
  });

  test('name metrics of the catalogue', () => {
    const names = new Set(
      Object.keys(CATALOGUE).flatMap((name) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]),
    );
    const unknown = wrong(({ text }) =>
      [...new Set(text.match(/\bholdfast_[a-z0-9_]+/g) ?? [])]
        // these are on the pages of applications
        .filter((name) => !names.has(name) && !name.startsWith('holdfast_session_store_')),
    );
    expect(unknown).toEqual([]);
  });

  test('say of every failure what it means and where to look', () => {
    const { text = '' } = PAGES.find(({ path }) => path === 'docs/operations.md') ?? {};
    const rows = text.split('\n').filter((line) => line.startsWith('| `'));
    const missing = Object.keys(FAILURES).filter(
      (kind) => !rows.some((row) => row.split('|')[1]?.includes(`\`${kind}\``)),
    );
    expect(missing).toEqual([]);
  });

  test('say of every room what it does', () => {
    const { text = '' } = PAGES.find(({ path }) => path === 'docs/architecture.md') ?? {};
    const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) =>
      entry.isDirectory(),
    );
    expect(rooms.map(({ name }) => name).filter((name) => !text.includes(`| \`${name}\` |`))).toEqual([]);
  });

  test('show configurations that load without a problem', () => {
    const broken = wrong(({ text }) =>
      [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)]
        .map((match) => match[1] ?? '')
        .filter((yaml) => /^pools:/m.test(yaml))
        .flatMap((yaml) =>
          loadConfig(yaml, { file: yaml.slice(0, 60), env: {} }).problems.map(({ message }) => message),
        ),
    );
    expect(broken).toEqual([]);
  });
});

test('the documents name commands and options that exist', () => {
  const { commands } = createProgram([registerDemo, registerLab]);
  const helps = commands.map((command) => [command.name(), command.helpInformation()] as const);
  const known = new Map([['help', ''], ...helps]);
  const unknown = wrong(({ code }) =>
    code
      .filter((line) => !line.startsWith('npm install') && !line.startsWith('docker'))
      .flatMap((line) => [...line.matchAll(/(?<![\w/.:-])holdfast (?!-)([a-z]+)((?: +[^ #;|]+)*)/g)])
      .flatMap(([, name = '', rest = '']) => {
        const help = known.get(name);
        if (help === undefined) return [`holdfast ${name}`];
        const words = rest.split(/ {2,}/)[0] ?? '';
        // "lab" and "plan" have commands of their own, whose options are in their own help
        if (name === 'lab' || name === 'plan') return [];
        const options = words.match(/--[a-z-]+/g) ?? [];
        return options
          .filter((option) => !help.includes(option))
          .map((option) => `holdfast ${name} ${option}`);
      }),
  );
  expect(unknown).toEqual([]);
});

/** Written like our keys, but another program's, or JavaScript. */
const FOREIGN =
  /^(http|strict|balancer|proxyRes|request|error|package|net|outlier_detection|strategy|forwardedHeaders|shop|koa|rack|saveUninitialized|server)\b/;

test('the documents name configuration keys that exist', () => {
  const paths = keyPaths(configSchema);
  expect(paths).toContain('pools.sticky.attributes.maxAge');
  const exists = (written: string): boolean =>
    paths.some((path) => path === written || path.endsWith(`.${written}`));
  const unknown = wrong(({ path, text }) => {
    // properties of the API's documents are held against the API: admin/openapi.test.ts
    if (['docs/metrics.md', 'docs/benchmarks.md', 'docs/api.md'].includes(path)) return [];
    const spans =
      text
        .split(/^```[\s\S]*?^```$/gm)
        .join('')
        .match(/`[^`\n]+`/g) ?? [];
    return spans
      .map((span) => span.slice(1, -1))
      .filter((span) => !FOREIGN.test(span))
      .flatMap((span) => {
        const dotted = /^([a-z][A-Za-z]*(?:\[\])?(?:\.[a-z][A-Za-z]*(?:\[\])?)+)$/.exec(span)?.[1];
        const keyed = /^([a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)*): /.exec(span)?.[1];
        return dotted ?? keyed ?? [];
      })
      .filter((written) => !/\.(ts|md|mjs|yaml|yml|sid|json|pem|key|crt)$/.test(written))
      .map((written) => written.replaceAll('[]', ''))
      .filter((written) => !exists(written));
  });
  expect(unknown).toEqual([]);
});

test('what the examples say is to be done first can be done in an empty folder', () => {
  const examples = readdirSync(join(ROOT, 'docs/examples'));
  expect(examples.length).toBeGreaterThan(0);
  for (const example of examples) {
    const head = readFileSync(join(ROOT, 'docs/examples', example), 'utf8');
    const commands = [...head.matchAll(/^\/\/ {3}(npm (?!install ).*)$/gm)].map(([, line]) => line ?? '');
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-example-'));
    try {
      execFileSync('sh', ['-ec', commands.join('\n')], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
      // it has "import", and is to be run as it stands
      if (example.endsWith('.ts'))
        expect(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).type).toBe('module');
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
});
