// Vite's development servers behind Holdfast, as docs/recipes/vite.md has it: page, modules and the WebSocket of hot module
// replacement come from one server, a change reaches its browsers, and those that are connected are counted.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'vite';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { Visitor } from '../demo/visitor.ts';
import { type ApplicationServer, countsAgree, testFolder } from '../support/application.ts';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { recipe } from '../support/recipe.ts';

const BROWSERS = 6;

interface Preview extends ApplicationServer {
  /** Changes the module that the page has. */
  change(): void;
}

const module = (name: string, version: number): string =>
  `export const server = '${name} ${version}';\nif (import.meta.hot) import.meta.hot.accept();\n`;

async function preview(name: string): Promise<Preview> {
  const root = testFolder();
  mkdirSync(join(root, 'src'));
  writeFileSync(join(root, 'index.html'), '<script type="module" src="/src/main.js"></script>');
  const file = join(root, 'src/main.js');
  writeFileSync(file, module(name, 1));
  const server = await createServer({
    root,
    configFile: false,
    logLevel: 'silent',
    cacheDir: join(root, '.vite'),
    server: { host: '127.0.0.1', port: 0, watch: { usePolling: true, interval: 50 } },
  });
  onTestFinished(() => server.close());
  await server.listen();
  const address = server.httpServer?.address();
  if (address === null || typeof address !== 'object') throw new Error('Vite does not listen');
  return {
    name,
    url: `http://127.0.0.1:${address.port}`,
    sessions: () => server.ws.clients.size,
    change: () => writeFileSync(file, module(name, 2)),
  };
}

class Browser {
  readonly told: string[] = [];
  server = '';
  readonly #visitor = new Visitor();
  readonly #url: string;

  constructor({ url }: Holdfast) {
    this.#url = url;
  }

  async #get(path: string): Promise<string> {
    const { status, body } = await this.#visitor.get(`${this.#url}${path}`);
    expect(status).toBe(200);
    return body.text ?? '';
  }

  /** As the page does: the HTML, Vite's client, the module, then the WebSocket with the token of that server. */
  async open(): Promise<void> {
    expect(await this.#get('/')).toContain('/@vite/client');
    const token = /wsToken = "([^"]+)"/.exec(await this.#get('/@vite/client'))?.[1] ?? '';
    this.server = await this.module();
    const socket = new WebSocket(`${this.#url.replace('http', 'ws')}/?token=${token}`, 'vite-hmr', {
      headers: { cookie: this.#visitor.cookie },
      origin: this.#url,
    });
    onTestFinished(() => socket.terminate());
    socket.on('message', (data) => {
      this.told.push((JSON.parse(String(data)) as { type: string }).type);
    });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
  }

  async module(): Promise<string> {
    return /server = ['"](\w+ \d)/.exec(await this.#get('/src/main.js'))?.[1] ?? '';
  }
}

test('page, modules and HMR come from one server, and its browsers are counted', async () => {
  const servers = await Promise.all(['a', 'b'].map((name) => preview(name)));
  const holdfast = await runInside(recipe(readFileSync('docs/recipes/vite.md', 'utf8'), servers));
  const browsers = Array.from({ length: BROWSERS }, () => new Browser(holdfast));
  for (const browser of browsers) await browser.open();
  expect(new Set(browsers.map(({ server }) => server))).toEqual(new Set(['a 1', 'b 1']));
  await eventually(() => browsers.every(({ told }) => told.includes('connected')));
  expect(await countsAgree(holdfast, servers)).toBe(BROWSERS);
  servers[0]?.change();
  const isOfFirst = ({ server }: Browser): boolean => server === 'a 1';
  await eventually(() => browsers.filter(isOfFirst).every(({ told }) => told.includes('update')));
  for (const browser of browsers) {
    expect(await browser.module()).toBe(isOfFirst(browser) ? 'a 2' : 'b 1');
    expect(browser.told.includes('update')).toBe(isOfFirst(browser));
  }
});
