// The admin API of the real process: what it refuses, with which status and message.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { command } from '../support/command.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { serversYaml, sessionServers } from '../support/session-servers.ts';

const TOKEN = 'correct-horse-battery';

async function start(): Promise<Holdfast> {
  const servers = await sessionServers(2);
  return runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0, token: ${TOKEN} }
pools:
  shop:
    servers:
${serversYaml(servers)}`);
}

interface Asked {
  readonly status: number;
  readonly code: string | undefined;
  readonly message: string | undefined;
}

async function ask(holdfast: Holdfast, path: string, init: RequestInit): Promise<Asked> {
  const response = await fetch(`${holdfast.adminUrl}${path}`, init);
  const body = (await response.json()) as { error?: { code: string; message: string } };
  return { status: response.status, code: body.error?.code, message: body.error?.message };
}

function patch(body: string | Buffer, headers: Record<string, string> = {}): RequestInit {
  const json = { 'content-type': 'application/json', authorization: `Bearer ${TOKEN}` };
  return { method: 'PATCH', body: new Uint8Array(Buffer.from(body)), headers: { ...json, ...headers } };
}

describe('PATCH of a server', () => {
  const path = '/api/pools/shop/servers/a';

  test('a token that is missing, wrong or of the wrong kind: 401, and nothing changes', async () => {
    const holdfast = await start();
    const message = 'a valid token is needed: Authorization: Bearer TOKEN';
    for (const authorization of ['', 'Bearer wrong', `Basic ${TOKEN}`, `Bearer ${TOKEN}x`, TOKEN]) {
      const asked = await ask(holdfast, path, patch('{"mode":"drain"}', { authorization }));
      expect(asked).toEqual({ status: 401, code: 'unauthorized', message });
    }
    const reload = await ask(holdfast, '/api/reload', { method: 'POST' });
    expect(reload).toEqual({ status: 401, code: 'unauthorized', message });
    const { revision, pools } = await holdfast.status();
    expect([revision, ...pools[0]!.servers.map(({ mode }) => mode)]).toEqual([1, 'ready', 'ready']);
    expect(holdfast.log()).not.toContain(TOKEN);
  });

  const BAD_BODIES = [
    ['nonsense', 'the body is not JSON'],
    ['', 'the body is not JSON'],
    ['[]', 'the body must be a JSON object'],
    ['{}', 'nothing to change: give mode, weight or both'],
    ['{"mode":"gone"}', 'mode must be ready, drain or maintenance'],
    ['{"mode":["drain"]}', 'mode must be ready, drain or maintenance'],
    ['{"weight":-1}', 'weight must be a number from 0 to 1000'],
    ['{"weight":"1"}', 'weight must be a number from 0 to 1000'],
    ['{"weight":1,"wieght":2}', 'unknown key "wieght": mode and weight are allowed'],
    ['{"__proto__":{}}', 'unknown key "__proto__": mode and weight are allowed'],
  ] as const;

  test('a bad body: 400, and what is wrong with it', async () => {
    const holdfast = await start();
    const asked = [];
    for (const [body] of BAD_BODIES) asked.push([body, await ask(holdfast, path, patch(body))]);
    const wanted = BAD_BODIES.map(([body, message]) => [body, { status: 400, code: 'bad-request', message }]);
    expect(asked).toEqual(wanted);
  });

  test('an unknown server or pool 404, another content type 415, a large body 413, another origin 403', async () => {
    const holdfast = await start();
    const drain = patch('{"mode":"drain"}');
    const codes = [
      await ask(holdfast, '/api/pools/shop/servers/zz', drain),
      await ask(holdfast, '/api/pools/zz/servers/a', drain),
      await ask(holdfast, '/api/pools/shop/servers/%zz', drain),
      await ask(holdfast, '/api/nothing', drain),
      await ask(holdfast, path, patch('{"mode":"drain"}', { 'content-type': 'text/plain' })),
      await ask(holdfast, path, patch('x'.repeat(70_000))),
      await ask(holdfast, path, patch('{"mode":"drain"}', { origin: 'http://evil.example' })),
    ].map(({ status, code }) => [status, code]);
    expect(codes).toEqual([
      [404, 'not-found'],
      [404, 'not-found'],
      [404, 'not-found'],
      [404, 'not-found'],
      [415, 'unsupported-media-type'],
      [413, 'too-large'],
      [403, 'forbidden'],
    ]);
    expect((await holdfast.status()).pools[0]!.servers.map(({ mode }) => mode)).toEqual(['ready', 'ready']);
  });
});

test('an admin address that others can reach needs a token: refused at start, with the place', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-admin-'));
  const file = join(directory, 'open.yaml');
  writeFileSync(
    file,
    'admin:\n  address: 0.0.0.0:0\npools:\n  shop:\n    servers: [http://127.0.0.1:3001]\n',
  );
  const { status, out, err } = await command(['run', '--config', file]);
  rmSync(directory, { recursive: true });
  expect({ status, out }).toEqual({ status: 1, out: '' });
  expect(err).toBe(
    `${file}:2:12: "admin.token" is required because "0.0.0.0:0" can be reached from other machines, set one or use a loopback address\n`,
  );
});
