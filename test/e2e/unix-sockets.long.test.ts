// Unix sockets on both sides: listened on by all threads, replaced where they are stale, kept over a takeover.

import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { echo } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { reload, runHoldfast } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';

function directory(): string {
  const made = mkdtempSync(join(tmpdir(), 'holdfast-unix-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return made;
}

/** An application on a unix socket. */
async function application(path: string): Promise<void> {
  const server = createServer(echo('unix'));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  whenDone(() => {
    server.closeAllConnections();
    server.close();
  });
}

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string>;
}

/** Over a connection of its own. Rejects when it cannot be made. */
function ask(socketPath: string, headers: Record<string, string> = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/x', headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (part: Buffer) => {
        text += part.toString();
      });
      response.on('error', reject);
      response.on('end', () => {
        const said = text.startsWith('{') ? (JSON.parse(text) as { headers: Record<string, string> }) : null;
        resolve({ status: response.statusCode ?? 0, headers: said?.headers ?? {} });
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}

const yamlOf = (own: string, app: string, mode = ''): string => `
listen: [{ address: 127.0.0.1:0 }, { address: "unix:${own}"${mode === '' ? '' : `, mode: "${mode}"`} }]
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 2s }
pools: { shop: { health: { path: /, interval: 1s }, servers: ["unix:${app}"] } }
`;

const permissions = (path: string): string => (statSync(path).mode & 0o777).toString(8);

test('clients and servers on unix sockets: all threads listen, peers are of this machine', async () => {
  const folder = directory();
  const [own, app] = [join(folder, 'own.sock'), join(folder, 'app.sock')];
  await application(app);
  const holdfast = await runHoldfast(yamlOf(own, app), { threads: 3 });
  expect(holdfast.output()).toContain(`listening on unix:${own}\n`);
  expect(permissions(own)).toBe('660');
  const seen = await ask(own);
  expect(seen.headers).toMatchObject({
    host: 'localhost',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-port': '80',
    'x-forwarded-proto': 'http',
  });
  // trusted like 127.0.0.1
  const passed = await ask(own, { 'x-forwarded-for': '192.0.2.9', 'x-forwarded-proto': 'https' });
  expect(passed.headers['x-forwarded-for']).toBe('192.0.2.9, 127.0.0.1');
  expect(passed.headers['x-forwarded-proto']).toBe('https');
  expect((await fetch(`${holdfast.url}/`)).status).toBe(200);
  const server = (await holdfast.status()).pools[0]?.servers[0];
  expect(server).toMatchObject({ name: 'app.sock', url: `unix:${app}`, state: 'up' });
  expect(await holdfast.metric('holdfast_requests_total', { server: 'app.sock', code: '2xx' })).toBe(3);
  expect(await holdfast.stop()).toBe(0);
  // nothing is left behind
  expect(readdirSync(folder)).toEqual(['app.sock']);
});

test('a stale socket is replaced; one in use, or a file that is none, is not', async () => {
  const folder = directory();
  const [own, app] = [join(folder, 'own.sock'), join(folder, 'app.sock')];
  await application(app);
  const killed = await runHoldfast(yamlOf(own, app), { threads: 1 });
  await expect(runHoldfast(yamlOf(own, app), { threads: 1 })).rejects.toThrow(
    `cannot listen on unix:${own}: another process listens there; stop it first`,
  );
  expect((await ask(own)).status).toBe(200);
  killed.child.kill('SIGKILL');
  await killed.exited();
  expect(existsSync(own)).toBe(true);
  const again = await runHoldfast(yamlOf(own, app), { threads: 1 });
  expect((await ask(own)).status).toBe(200);
  await again.stop();
  writeFileSync(own, 'precious');
  await expect(runHoldfast(yamlOf(own, app), { threads: 1 })).rejects.toThrow('a file that is no socket');
  await expect(runHoldfast(yamlOf(join(folder, 'no', 'a.sock'), app), { threads: 1 })).rejects.toThrow(
    'there is no such directory',
  );
});

test('two takeovers with more and fewer threads lose no client, and the socket stays', {
  timeout: 60_000,
}, async () => {
  const folder = directory();
  const [own, app] = [join(folder, 'own.sock'), join(folder, 'app.sock')];
  await application(app);
  let now = await runHoldfast(yamlOf(own, app), { threads: 2 });
  const failures: unknown[] = [];
  let served = 0;
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver)
      await ask(own).then(
        ({ status }) => {
          if (status === 200) served += 1;
          else failures.push(status);
        },
        (error: unknown) => failures.push(error),
      );
  };
  const clients = Array.from({ length: 6 }, client);
  for (const threads of [4, 1]) {
    const before = served;
    await eventually(() => served - before > 50);
    const old = now;
    now = await runHoldfast(yamlOf(own, app), { threads, args: ['--takeover', old.adminUrl] });
    expect(await old.exited()).toBe(0);
  }
  const before = served;
  await eventually(() => served - before > 50);
  isOver = true;
  await Promise.all(clients);
  expect(failures).toEqual([]);
  await now.stop();
  expect(readdirSync(folder)).toEqual(['app.sock']);
});

test('a reload adds and removes a socket and changes its permissions', async () => {
  const folder = directory();
  const [own, other, app] = ['own.sock', 'other.sock', 'app.sock'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await application(app);
  const holdfast = await runHoldfast(yamlOf(own, app), { threads: 3 });
  await reload(holdfast, yamlOf(own, app, '0600'));
  expect(permissions(own)).toBe('600');
  await reload(holdfast, yamlOf(other, app, '0666'));
  expect(permissions(other)).toBe('666');
  await eventually(() => !existsSync(own));
  // one connection after the other: whichever thread takes it
  for (let count = 0; count < 20; count += 1) expect((await ask(other)).status).toBe(200);
});

test('a socket that somebody else has taken meanwhile is theirs', async () => {
  const folder = directory();
  const [own, app] = [join(folder, 'own.sock'), join(folder, 'app.sock')];
  await application(app);
  const holdfast = await runHoldfast(yamlOf(own, app), { threads: 2 });
  rmSync(own);
  const stranger = createTcpServer((socket) => socket.end('stranger'));
  await new Promise<void>((resolve) => stranger.listen(own, resolve));
  onTestFinished(() => new Promise<void>((resolve) => stranger.close(() => resolve())));
  await holdfast.stop();
  expect(existsSync(own)).toBe(true);
});
