// The operator's own error pages, over HTTP/1 and HTTP/2, read at the start and at each reload; own replies in the access log.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readConfigText } from '../../src/config/read-config-file.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast, runInside } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';
import { talkTo } from '../support/talker.ts';

const NOBODY = 'http://127.0.0.1:1';
const BUSY = '<!doctype html><title>Gleich zurück</title><p>{{status}} {{requestId}}';

function folder(files: Readonly<Record<string, string>>): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-pages-'));
  whenDone(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

const yamlFor = (pages: string): string => `
threads: 1
listen: { address: 127.0.0.1:0, h2c: true }
admin: { address: 127.0.0.1:0 }
accessLog: json
errorPages: { 404: ${pages}/missing.html, 5xx: [${pages}/all.html, ${pages}/all.json] }
routes:
  - { path: /shop, pool: shop }
  - { path: /api, pool: api, rateLimit: { rate: 1/h } }
pools:
  shop:
    health: off
    retry: { attempts: 0 }
    errorPages: { 502: ${pages}/busy.html }
    servers: ["${NOBODY}"]
  api: { health: off, retry: { attempts: 0 }, servers: ["${NOBODY}"] }
`;

const FILES = {
  'missing.html': 'missing',
  'busy.html': BUSY,
  'all.html': 'all of 5xx',
  'all.json': '{"error":"{{error}}"}',
};

test('each pool, status and form has its page; lengths are those of the bytes; HEAD has none', async () => {
  const pages = folder(FILES);
  const holdfast = await runInside(yamlFor(pages), { unready: true });
  const ask = async (path: string, accept: string): Promise<(string | null)[]> => {
    const response = await fetch(`${holdfast.url}${path}`, { headers: { accept } });
    const { headers } = response;
    const body = await response.text();
    const length = Number(headers.get('content-length'));
    expect(length).toBe(Buffer.byteLength(body));
    expect(headers.get('cache-control')).toBe('no-store');
    const id = headers.get('x-request-id') ?? 'none';
    return [headers.get('content-type'), headers.get('x-holdfast-error'), body.replace(id, 'ID')];
  };
  const busy = BUSY.replace('{{status}}', '502').replace('{{requestId}}', 'ID');
  expect(await ask('/shop', 'text/html')).toEqual(['text/html; charset=utf-8', 'connect-failed', busy]);
  expect(await ask('/shop', 'application/json')).toEqual([
    'application/json',
    'connect-failed',
    '{"error":"connect-failed"}',
  ]);
  expect(await ask('/shop', '*/*')).toEqual([
    'text/plain; charset=utf-8',
    'connect-failed',
    '502 Bad Gateway: the server could not be reached\n',
  ]);
  expect(await ask('/api', 'text/html')).toEqual([
    'text/html; charset=utf-8',
    'connect-failed',
    'all of 5xx',
  ]);
  expect((await ask('/api', 'text/html'))[2]).toContain('<h1>429 Too Many Requests</h1>');
  expect((await ask('/nowhere', 'text/html'))[2]).toBe('missing');

  const talker = await talkTo(holdfast.port);
  talker.send('HEAD /nowhere HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n');
  const reply = await talker.reply({ isHead: true });
  expect([reply.get('content-length'), reply.get('content-type')]).toEqual(['7', 'text/html; charset=utf-8']);
  talker.send('GET /nowhere HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n');
  expect((await talker.reply()).body).toBe('missing');
});

test('over HTTP/2, and never to gRPC', async () => {
  const holdfast = await runInside(yamlFor(folder(FILES)), { unready: true });
  const session = connect(holdfast.url);
  whenDone(() => session.destroy());
  const ask = (headers: Record<string, string>): Promise<[unknown, unknown, string]> =>
    new Promise((resolve, reject) => {
      const stream = session.request(headers);
      let head: Record<string, unknown> = {};
      let body = '';
      stream.on('response', (fields) => {
        head = fields;
      });
      stream.on('data', (part: Buffer) => {
        body += part.toString();
      });
      stream.on('end', () => resolve([head['content-type'], head['content-length'], body]));
      stream.on('error', reject);
    });
  const html = 'text/html; charset=utf-8';
  expect(await ask({ ':path': '/api', accept: 'text/html' })).toEqual([html, '10', 'all of 5xx']);
  expect(await ask({ ':path': '/nowhere', accept: 'text/html' })).toEqual([html, '7', 'missing']);
  expect(await ask({ ':path': '/nowhere', ':method': 'HEAD', accept: 'text/html' })).toEqual([html, '7', '']);
  const grpc = { 'content-type': 'application/grpc', accept: 'text/html' };
  expect((await ask({ ':path': '/shop', ...grpc }))[2]).not.toContain('<');
});

test('a reload reads them anew; one that cannot be read refuses it and changes nothing', async () => {
  const pages = folder(FILES);
  const holdfast = await runInside(yamlFor(pages), { unready: true });
  const missing = async (): Promise<string> =>
    (await fetch(`${holdfast.url}/nowhere`, { headers: { accept: 'text/html' } })).text();
  const reload = async (): Promise<[number, string]> => {
    const response = await fetch(`${holdfast.adminUrl}/api/reload`, { method: 'POST' });
    return [response.status, await response.text()];
  };
  expect(await missing()).toBe('missing');
  writeFileSync(join(pages, 'missing.html'), 'gone for good');
  expect((await reload())[0]).toBe(200);
  expect(await missing()).toBe('gone for good');
  writeFileSync(join(pages, 'missing.html'), 'x'.repeat(65 * 1024));
  const [status, text] = await reload();
  expect(status).toBe(409);
  expect(text).toContain('missing.html\\" has 66560 bytes, a page may have 65536');
  expect(await missing()).toBe('gone for good');
});

test('wrong files are problems of the configuration, all at once, each at its place', () => {
  const pages = folder({ 'empty.html': '' });
  execFileSync('mkfifo', [`${pages}/pipe.html`]); // nobody writes into it: reading would wait for ever
  const yaml = `
errorPages:
  404: ${pages}/none.html
  502: ${pages}/pipe.html
pools:
  shop:
    errorPages:
      503: ${pages}/empty.html
    servers: ["${NOBODY}"]
`;
  const { config, problems } = readConfigText(yaml, { file: 'f.yaml', env: {} });
  expect(config).toBeNull();
  expect(problems.map(({ line, column, message }) => [line, column, message.replace(pages, 'P')])).toEqual([
    [3, 8, '"P/none.html" does not exist'],
    [4, 8, '"P/pipe.html" is not a file'],
    [8, 12, '"P/empty.html" is empty'],
  ]);
});

test('the access log has pool and bytes of what was answered without a server', async () => {
  const holdfast = await runHoldfast(yamlFor(folder(FILES)), { unready: true });
  const client = await talkTo(holdfast.port);
  const bytes: number[] = [];
  const lines = 'Host: a\r\nAccept: text/html\r\n\r\n';
  for (const path of ['/shop', '/api', '/api', '/nowhere']) {
    client.send(`GET ${path} HTTP/1.1\r\n${lines}`);
    const { startLine, all, body } = await client.reply();
    expect(all('x-request-id')).toHaveLength(1);
    bytes.push(Number(startLine.split(' ')[1]), body.length);
  }
  const logged = await eventually(() => {
    const whole = holdfast.output().split('\n').slice(0, -1);
    const found = whole.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    return found.length >= 4 ? found : null;
  });
  expect(logged.map(({ target, pool, status, error }) => [target, pool, status, error])).toEqual([
    ['/shop', 'shop', 502, 'connect-failed'],
    ['/api', 'api', 502, 'connect-failed'],
    ['/api', 'api', 429, 'too-many-requests'],
    ['/nowhere', null, 404, 'no-route'],
  ]);
  for (const [index, { bytesOut }] of logged.entries())
    expect(bytesOut).toBeGreaterThan(150 + (bytes[2 * index + 1] ?? 0));
});
