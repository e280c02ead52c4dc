import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readAssets } from '../../../src/admin/page/assets.ts';
import { pageRoutes } from '../../../src/admin/page/page-routes.ts';

const assets = readAssets();
const textOf = (path: string): string => {
  const found = assets.find((asset) => asset.path === path);
  return found === undefined ? '' : Buffer.from(found.body).toString('utf8');
};
const own = assets.filter(({ path }) => !path.startsWith('/page/uplot/'));

describe('the files of the page', () => {
  test('everything the page and its modules ask for is there', () => {
    const asked = [...textOf('/').matchAll(/(?:src|href)="(\/(?!api|metrics)[^"]*)"/g)].map(
      (match) => match[1],
    );
    const imported = own
      .filter(({ path }) => path.endsWith('.js'))
      .flatMap(({ path }) =>
        [...textOf(path).matchAll(/^import .* from '(\.[^']+)';$/gm)].map((match) => {
          return new URL(match[1] ?? '', `http://page${path}`).pathname;
        }),
      );
    expect(imported.length).toBeGreaterThan(15);
    const paths = new Set(assets.map(({ path }) => path));
    expect([...asked, ...imported].filter((path) => path === undefined || !paths.has(path))).toEqual([]);
  });

  test('none holds inline script or style, markup made from text, or an address elsewhere', () => {
    expect(textOf('/')).not.toMatch(/<script>|<style|\sstyle=|\son\w+=|https?:/);
    for (const { path } of own) {
      if (!path.endsWith('.js')) continue;
      expect([
        path,
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(/.test(textOf(path)),
      ]).toEqual([path, false]);
    }
    for (const { path } of own) {
      const addresses = textOf(path).match(/https?:\/\/[^\s'"`)]+/g) ?? [];
      expect([path, addresses.filter((address) => address !== 'http://www.w3.org/2000/svg')]).toEqual([
        path,
        [],
      ]);
    }
  });

  test.each(['uPlot.iife.min.js', 'uPlot.min.css'])('%s is that of the release we develop with', (name) => {
    const published = new URL(`../../../node_modules/uplot/dist/${name}`, import.meta.url);
    expect(textOf(`/page/uplot/${name}`)).toBe(readFileSync(published, 'utf8'));
    expect(textOf('/')).toContain(`"/page/uplot/${name}"`);
  });

  test('are small: under 200 KB together, uPlot included', () => {
    const bytes = assets.reduce((sum, { body }) => sum + body.length, 0);
    expect(bytes).toBeLessThan(200_000);
  });

  test('a browser that has a file is told so', async () => {
    const routes = pageRoutes();
    const first = await routes.request('/page/format.js');
    expect(first.status).toBe(200);
    expect(first.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    const again = await routes.request('/page/format.js', {
      headers: { 'if-none-match': first.headers.get('etag') ?? '' },
    });
    expect([again.status, await again.text()]).toEqual([304, '']);
    expect((await routes.request('/page/tsconfig.json')).status).toBe(404);
  });

  test('their types are right, those of the API included', () => {
    const compiler = fileURLToPath(new URL('../../../node_modules/typescript/bin/tsc', import.meta.url));
    const project = fileURLToPath(new URL('../../../src/admin/page/tsconfig.json', import.meta.url));
    const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, '']);
  });
});
