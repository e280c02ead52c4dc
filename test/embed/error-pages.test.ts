// The operator's own error pages in an embedded balancer: errorPages of all and of a pool, from an object and from a file.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigError, createBalancer } from '../../src/index.ts';
import { embed, listen, NOBODY } from './embedded.ts';

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-embed-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function ask(url: string, method = 'GET'): Promise<(string | number | null)[]> {
  const { status, headers, text } = await fetch(url, { method, headers: { accept: 'text/html' } }).then(
    async (response) => ({ status: response.status, headers: response.headers, text: await response.text() }),
  );
  return [status, headers.get('content-type'), headers.get('content-length'), text];
}

test('a request of a pool and one of none get theirs, HEAD the length alone, and a request before pools its form', async () => {
  const pages = folder();
  writeFileSync(join(pages, 'all.html'), 'für alle');
  writeFileSync(join(pages, 'pool.html'), 'pool');
  const { url } = await embed({
    errorPages: { '404': join(pages, 'all.html') },
    routes: [{ path: '/web', pool: 'web' }],
    pools: {
      web: {
        health: 'off',
        retry: { attempts: 0 },
        errorPages: { '502': join(pages, 'pool.html') },
        servers: [NOBODY],
      },
    },
  });
  const html = 'text/html; charset=utf-8';
  expect(await ask(`${url}/web`)).toEqual([502, html, '4', 'pool']);
  expect(await ask(`${url}/other`)).toEqual([404, html, '9', 'für alle']);
  expect(await ask(`${url}/other`, 'HEAD')).toEqual([404, html, '9', '']);
});

test('a reload of a file reads the pages again', async () => {
  const pages = folder();
  const file = join(pages, 'holdfast.yaml');
  writeFileSync(join(pages, 'all.html'), 'before');
  const pool = `{ health: off, retry: { attempts: 0 }, servers: ["${NOBODY}"] }`;
  writeFileSync(
    file,
    `errorPages: { 502: ${pages}/all.html }\nsessions: { max: 1000 }\npools: { web: ${pool} }\n`,
  );
  const balancer = await createBalancer(file);
  onTestFinished(() => balancer.close(0));
  const url = await listen(createServer(balancer.middleware()));
  expect((await ask(url))[3]).toBe('before');
  writeFileSync(join(pages, 'all.html'), 'after');
  await balancer.reload();
  expect((await ask(url))[3]).toBe('after');
});

test('a file that is not there is an error of the configuration', async () => {
  const config = { errorPages: { '404': '/nowhere/x.html' }, pools: { web: { servers: [NOBODY] } } };
  const error = await createBalancer(config).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).problems.map(({ message }) => message)).toEqual([
    '"/nowhere/x.html" does not exist',
  ]);
});
