// `npm pack`, `npm install`: what is in the package works from plain JavaScript, from TypeScript and as a command.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type Installed, installPacked, ROOT, run } from './installed.ts';

let installed: Installed | null = null;

beforeAll(() => {
  installed = installPacked();
}, 400_000);
afterAll(() => installed?.remove());

const version: string = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;

/** Where it is installed; skips where npm cannot get the dependencies. */
function home(skip: (reason: string) => void): string {
  if (installed === null) skip('npm has not all dependencies in its cache and cannot reach the registry');
  return installed?.directory ?? '';
}

/** For `--import`: a line on standard output for each package of which a file is loaded. */
const PRINT_PACKAGES = `
import { registerHooks } from 'node:module';
import { writeSync } from 'node:fs';
registerHooks({
  load(url, context, next) {
    const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1];
    if (name !== undefined) writeSync(1, 'loads ' + name + '\\n');
    return next(url, context);
  },
});
`;

/** Starts the program and waits until it has printed so many addresses. */
async function start(
  directory: string,
  args: readonly string[],
  env: Record<string, string> = {},
  count = 1,
): Promise<{ child: ChildProcess; urls: string[]; output: () => string }> {
  const child = spawn(process.execPath, args, {
    cwd: directory,
    env: { ...process.env, PORT: '0', ...env },
    stdio: 'pipe',
  });
  let output = '';
  let log = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (log += String(text)));
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
  });
  const urls = await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`it exited with ${child.exitCode}: ${output}${log}`);
      const found = [...output.matchAll(/^(?:listening|admin) on (http:\S+)$/gm)].map(
        (match) => match[1] ?? '',
      );
      return found.length >= count ? found : null;
    },
    { what: () => `${count} addresses; it printed ${output}${log}` },
  );
  return { child, urls, output: () => output };
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  child.kill('SIGTERM');
  if (child.exitCode !== null) return child.exitCode;
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

describe('the installed package', () => {
  test('holds no tests, no sources but the launcher, and no pinned Node', ({ skip }) => {
    const directory = join(home(skip), 'node_modules');
    expect(existsSync(join(directory, 'node'))).toBe(false);
    expect(existsSync(join(directory, 'vitest'))).toBe(false);
    expect(existsSync(join(directory, 'holdfast/test'))).toBe(false);
    expect(existsSync(join(directory, 'holdfast/src/cli.ts'))).toBe(false);
    for (const path of [
      'dist/index.d.ts',
      'dist/bundle/worker.js',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'config/reference.yaml',
      'grafana/dashboards',
    ]) {
      expect([path, existsSync(join(directory, 'holdfast', path))]).toEqual([path, true]);
    }
  });

  test('is loaded by import and by require', ({ skip }) => {
    const directory = home(skip);
    const program = (line: string, type: string): string =>
      run(directory, process.execPath, [
        `--input-type=${type}`,
        '-e',
        `${line}; console.log(typeof createBalancer)`,
      ]);
    expect(program("import { createBalancer } from 'holdfast'", 'module')).toBe('function\n');
    expect(program("const { createBalancer } = require('holdfast')", 'commonjs')).toBe('function\n');
  });

  test('has the session store beside it, which needs no redis to be loaded', ({ skip }) => {
    const program = "import { HomeSessions, HomeStore } from 'holdfast/session-store'";
    expect(
      run(home(skip), process.execPath, [
        '--input-type=module',
        '-e',
        `${program}; console.log(typeof HomeSessions, typeof HomeStore)`,
      ]),
    ).toBe('function function\n');
  });

  test('is a command', ({ skip }) => {
    const directory = home(skip);
    expect(run(directory, 'npx', ['holdfast', '--version']).trim()).toBe(version);
    const checked = run(directory, 'npx', [
      'holdfast',
      'check',
      '--config',
      'node_modules/holdfast/config/reference.yaml',
    ]);
    expect(checked).toContain('valid');
  });

  test.for(['demo', 'lab'])('%s is not in it, and says where it is', (name, { skip }) => {
    const launcher = join(home(skip), 'node_modules/holdfast/src/holdfast.mjs');
    const { status, stderr } = spawnSync(process.execPath, [launcher, name, '--quick'], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(
        /^holdfast \w+: comes with a checkout of the repository, not with the package; .*\n$/,
      ),
    ]);
  });

  test('brings at most 30 packages and 14 MB, none of them with an installation script', ({ skip }) => {
    home(skip);
    expect(installed?.alone.packages).toBeLessThanOrEqual(30);
    expect(installed?.alone.bytes).toBeLessThanOrEqual(14e6);
    expect(installed?.alone.withScripts).toEqual([]);
  });

  test('has no known holes, where the registry can be asked', ({ skip }) => {
    const directory = home(skip);
    const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
      cwd: directory,
      encoding: 'utf8',
    });
    const { metadata, message } = JSON.parse(stdout);
    if (metadata === undefined) skip(`npm audit: ${message}`);
    expect(metadata.vulnerabilities.total).toBe(0);
  });

  test('runs: worker threads, admin server and dashboard from dist', async ({ skip }) => {
    const directory = home(skip);
    const backend = await httpBackend('a');
    const listen = 'listen: [{ address: 127.0.0.1:0 }]\nadmin: { address: 127.0.0.1:0 }\nthreads: 2\n';
    writeFileSync(join(directory, 'h.yaml'), `${listen}pools: { web: { servers: ["${backend.url}"] } }\n`);
    const launcher = 'node_modules/holdfast/src/holdfast.mjs';
    const { child, urls } = await start(directory, [launcher, 'run', '--config', 'h.yaml'], {}, 2);
    await eventually(async () => (await fetch(`${urls.at(-1)}/readyz`)).ok);
    expect(await (await fetch(urls[0] ?? '')).json()).toMatchObject({ server: 'a' });
    const page = await fetch(`${urls.at(-1)}/`);
    expect([page.status, page.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining('text/html'),
    ]);
    const html = await page.text();
    const assets = [...html.matchAll(/(?:src|href)="(\/[^"]+\.(?:js|css)[^"]*)"/g)].map(
      (match) => match[1] ?? '',
    );
    for (const asset of assets)
      expect([asset, (await fetch(`${urls.at(-1)}${asset}`)).status]).toEqual([asset, 200]);
    expect(await exitCode(child)).toBe(0);
  });

  test('answers before it has loaded what only checks over HTTP, metrics and the admin server need', async ({
    skip,
  }) => {
    const directory = home(skip);
    const backend = await httpBackend('a');
    writeFileSync(join(directory, 'hooks.mjs'), PRINT_PACKAGES);
    const how = `listen: [{ address: 127.0.0.1:0 }]\nadmin: off\nthreads: 1\n`;
    writeFileSync(join(directory, 's.yaml'), `${how}pools: { web: { servers: ["${backend.url}"] } }\n`);
    const args = ['--import', './hooks.mjs', 'node_modules/holdfast/src/holdfast.mjs', 'run', '-c', 's.yaml'];
    const { child, urls, output } = await start(directory, args);
    expect(await (await fetch(urls[0] ?? '')).json()).toMatchObject({ server: 'a' });
    const loaded = new Set([...output().matchAll(/^loads (\S+)$/gm)].map((match) => match[1]));
    expect(loaded).toContain('yaml');
    for (const late of ['undici', 'prom-client', 'hono', '@hono/node-server'])
      expect(loaded).not.toContain(late);
    expect(await exitCode(child)).toBe(0);
  });

  test.for(['plain.mjs', 'express.ts'])(
    'example %s: balances with affinity, and ends when told to',
    async (file, { skip }) => {
      const directory = home(skip);
      const servers = await Promise.all(
        ['a', 'b'].map((name) =>
          httpBackend(name, (request, response) => {
            if (!request.headers.cookie?.includes('connect.sid'))
              response.setHeader('set-cookie', `connect.sid=${name}${Math.random()}`);
            response.end(`${name} ${request.headers['x-gateway'] ?? ''}`);
          }),
        ),
      );
      const { child, urls } = await start(directory, [file], {
        SERVERS: servers.map(({ url }) => url).join(','),
      });
      const url = `${urls[0]}/shop/cart`;
      for (let user = 0; user < 4; user += 1) {
        const first = await fetch(url);
        const cookie = first.headers
          .getSetCookie()
          .map((line) => line.split(';')[0])
          .join('; ');
        const server = await first.text();
        for (let count = 0; count < 3; count += 1)
          expect(await (await fetch(url, { headers: { cookie } })).text()).toBe(server);
      }
      if (file === 'express.ts') {
        expect(await (await fetch(`${urls[0]}/`)).text()).toContain('answered by the application');
        expect(await (await fetch(`${urls[0]}/metrics`)).text()).toContain('holdfast_requests_total');
        expect((await fetch(`${urls[0]}/readyz`)).status).toBe(200);
      }
      expect(await exitCode(child)).toBe(0);
    },
  );

  test('is typed: the examples pass the strictest compiler', ({ skip }) => {
    const directory = home(skip);
    const options = { module: 'nodenext', target: 'es2024', strict: true, noEmit: true, types: ['node'] };
    writeFileSync(
      join(directory, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['express.ts', 'session-store.ts'] }),
    );
    expect(run(directory, process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.'], 60_000)).toBe('');
  });

  test('is typed: a wrong policy does not compile, and the compiler says which', ({ skip }) => {
    const directory = home(skip);
    const pool = "{ policy: 'leastconn', servers: ['http://127.0.0.1:1'] }";
    writeFileSync(
      join(directory, 'wrong.ts'),
      `import type { BalancerConfig } from 'holdfast';\nexport const config: BalancerConfig = { pools: { web: ${pool} } };\n`,
    );
    const compile = (): string =>
      run(directory, process.execPath, [
        'node_modules/typescript/bin/tsc',
        '--noEmit',
        '--ignoreConfig',
        '--strict',
        ...['--module', 'nodenext', '--types', 'node', 'wrong.ts'],
      ]);
    expect(compile).toThrow(/wrong\.ts\(2,\d+\): error TS2322: Type '"leastconn"' is not assignable to type/);
  });
});
