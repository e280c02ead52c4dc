import { request as httpRequest } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AdminServer, startAdmin } from '../../src/admin/server.ts';
import { Verdict } from '../../src/shared/control.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { Source } from './fixture.ts';

let source: Source;
let admin: AdminServer;
let errors: string[] = [];

async function start(token = '', host = '127.0.0.1'): Promise<AdminServer> {
  const started = await startAdmin({
    host,
    port: 0,
    token,
    source,
    onError: (error) => errors.push(error.message),
  });
  if (started.kind === 'failed') throw new Error(started.message);
  return started;
}

let statuses = 0;

beforeEach(async () => {
  source = new Source();
  errors = [];
  statuses = 0;
  const status = source.status.bind(source);
  source.status = () => {
    statuses += 1;
    return status();
  };
  admin = await start();
});
afterEach(() => admin.close());

const get = (path: string, init?: RequestInit): Promise<Response> => fetch(`${admin.url}${path}`, init);
const JSON_TYPE = { 'content-type': 'application/json' };
const patch = (
  body: string,
  headers: Record<string, string> = JSON_TYPE,
  path = '/api/pools/shop/servers/a',
): Promise<Response> => get(path, { method: 'PATCH', body, headers });

async function errorOf(response: Response): Promise<[number, string, string]> {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  expect(Object.keys(error)).toEqual(['code', 'message']);
  return [response.status, error.code, error.message];
}

/** Status of a request with headers that fetch does not let through. */
function statusOf(path: string, headers: Record<string, string>, method = 'GET'): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port: admin.port, path, method, headers, agent: false });
    request.on('error', reject);
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.end();
  });
}

test('who asks again without taking the answer is answered once, and loses the connection', async () => {
  const greedy = await rawClient(admin.port);
  greedy.send('GET /api/status HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(500));
  await greedy.closed();
  expect(statuses).toBe(1);
  // one after the other on one connection is as always
  const patient = await rawClient(admin.port);
  for (let asked = 1; asked <= 20; asked += 1) {
    patient.send('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await eventually(() => patient.received().split('HTTP/1.1 200').length === asked + 1);
  }
});

describe('reading', () => {
  test('healthz, readyz and metrics', async () => {
    expect((await get('/healthz')).status).toBe(200);
    expect(await (await get('/readyz')).text()).toBe('ready\n');
    const metrics = await get('/metrics');
    expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await metrics.text()).toContain('holdfast_server_up{pool="shop",server="a"} 1\n');
    const open = await get('/metrics', { headers: { accept: 'application/openmetrics-text' } });
    expect(open.headers.get('content-type')).toContain('application/openmetrics-text');
  });

  test('readyz is 503 with the reason when a pool has no eligible server', async () => {
    for (const name of ['a', 'b'])
      source.balancer.shared.control.setVerdict(source.balancer.slot(`shop/${name}`), Verdict.down);
    const response = await get('/readyz');
    expect(response.status).toBe(503);
    expect(await response.text()).toBe('not ready\npool shop has no eligible server\n');
  });

  test('the status has everything the contract names', async () => {
    source.balancer.place('shop/a', 40);
    source.balancer.place('shop/b', 20);
    source.balancer.sweep.sweepNow();
    const response = await get('/api/status');
    expect(response.headers.get('cache-control')).toBe('no-store');
    const status = (await response.json()) as ReturnType<Source['status']>;
    expect(status).toMatchObject({ version: '0.1.0', revision: 1, threads: 2, uptimeSeconds: 12.5 });
    expect(status.pools).toHaveLength(1);
    expect(status.pools[0]).toMatchObject({
      name: 'shop',
      policy: 'round-robin',
      sticky: 'cookie-hash',
      state: 'local',
      sessions: 60,
      skew: { ratio: 1, cv: 0, jain: 1, gini: 0, floor: expect.closeTo(1.112, 1) },
    });
    expect(status.pools[0]?.servers).toMatchObject([
      {
        name: 'a',
        url: 'http://127.0.0.1:1',
        state: 'up',
        mode: 'ready',
        weight: 2,
        sessions: 40,
        inFlight: 0,
        requests: 0,
        failures: 0,
      },
      { name: 'b', url: 'http://127.0.0.1:2', state: 'up', mode: 'ready', weight: 1, sessions: 20 },
      {
        name: 'c',
        url: 'http://127.0.0.1:3',
        state: 'up',
        mode: 'drain',
        weight: 1,
        sessions: 0,
        check: 'status 200',
      },
    ]);
  });

  test('the page comes with its script and style and may load nothing else', async () => {
    const page = await get('/');
    const html = await page.text();
    expect(html).toContain('<title>Holdfast</title>');
    expect(html).not.toMatch(/https?:\/\//);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    expect(page.headers.get('access-control-allow-origin')).toBeNull();
    expect((await get('/page.js')).headers.get('content-type')).toContain('javascript');
    expect((await get('/page.css')).status).toBe(200);
  });

  test('anything else is not found', async () => {
    expect(await errorOf(await get('/nope'))).toEqual([404, 'not-found', 'there is no GET /nope']);
    expect((await get('/api/status', { method: 'DELETE' })).status).toBe(404);
  });
});

describe('changing a server', () => {
  test('mode and weight reach the supervisor, the reply is the server', async () => {
    const response = await patch('{"mode":"drain","weight":2.5}');
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ pool: 'shop', server: { name: 'a', sessions: 0 } });
    await patch('{"weight":0}', { 'content-type': 'application/json; charset=utf-8' });
    expect(source.calls).toEqual(['{"mode":"drain","weight":2.5}', '{"weight":0}']);
  });

  test.each([
    ['{', 'the body is not JSON'],
    ['', 'the body is not JSON'],
    ['[]', 'the body must be a JSON object'],
    ['null', 'the body must be a JSON object'],
    ['{}', 'nothing to change: give mode, weight or both'],
    ['{"mode":"off"}', 'mode must be ready, drain or maintenance'],
    ['{"mode":"drain","weight":-1}', 'weight must be a number from 0 to 1000'],
    ['{"weight":1001}', 'weight must be a number from 0 to 1000'],
    ['{"weight":"3"}', 'weight must be a number from 0 to 1000'],
    ['{"wieght":3}', 'unknown key "wieght": mode and weight are allowed'],
    ['{"__proto__":{"mode":"drain"}}', 'unknown key "__proto__": mode and weight are allowed'],
  ])('%s is refused: %s', async (body, message) => {
    expect(await errorOf(await patch(body))).toEqual([400, 'bad-request', message]);
    expect(source.calls).toEqual([]);
  });

  test('an unknown server, another content type, a huge body', async () => {
    const unknown = await patch('{"mode":"drain"}', JSON_TYPE, '/api/pools/shop/servers/x%2Fy');
    expect(await errorOf(unknown)).toEqual([404, 'not-found', 'no server shop/x/y']);
    expect(
      (await errorOf(await patch('{"mode":"drain"}', { 'content-type': 'text/plain' }))).slice(0, 2),
    ).toEqual([415, 'unsupported-media-type']);
    const huge = `{"mode":"drain","x":"${'x'.repeat(70_000)}"}`;
    expect((await errorOf(await patch(huge))).slice(0, 2)).toEqual([413, 'too-large']);
  });
});

describe('reload', () => {
  test('says what has changed', async () => {
    const response = await get('/api/reload', { method: 'POST' });
    expect([response.status, await response.json()]).toEqual([
      200,
      { revision: 2, changes: ['pool shop: server d added'] },
    ]);
  });

  test('a configuration that is not valid is a conflict that says why', async () => {
    source.reloadResult = { ok: false, code: 'conflict', message: 'holdfast.yaml:3:5: unknown key' };
    const response = await get('/api/reload', { method: 'POST' });
    expect(await errorOf(response)).toEqual([409, 'conflict', 'holdfast.yaml:3:5: unknown key']);
  });

  test('an exception of the supervisor is an error without a stack', async () => {
    source.isBroken = true;
    const response = await get('/api/reload', { method: 'POST' });
    expect(await errorOf(response)).toEqual([500, 'internal', 'the request could not be completed']);
    expect(errors).toEqual(['secret detail']);
  });
});

describe('who may', () => {
  const TOKEN = 'correct horse'.replace(' ', '-');

  test('with a token set, changes need it and reading does not', async () => {
    await admin.close();
    admin = await start(TOKEN);
    for (const authorization of [
      '',
      'Bearer',
      'Bearer wrong',
      `Basic ${TOKEN}`,
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
    ]) {
      const headers = { ...JSON_TYPE, ...(authorization === '' ? {} : { authorization }) };
      const response = await patch('{"mode":"drain"}', headers);
      expect(response.headers.get('www-authenticate')).toContain('Bearer');
      expect((await errorOf(response)).slice(0, 2)).toEqual([401, 'unauthorized']);
      expect((await get('/api/reload', { method: 'POST', headers })).status).toBe(401);
    }
    expect(source.calls).toEqual([]);
    expect((await patch('{"mode":"drain"}', { ...JSON_TYPE, authorization: `Bearer ${TOKEN}` })).status).toBe(
      200,
    );
    expect((await get('/api/status')).status).toBe(200);
    expect((await get('/metrics')).status).toBe(200);
  });

  test('on loopback only loopback names are served (DNS rebinding)', async () => {
    const hosts = {
      'evil.example': 403,
      'localhost.evil.example': 403,
      '127.0.0.1.evil.example': 403,
      '10.0.0.1': 403,
    };
    for (const [host, status] of Object.entries(hosts)) {
      expect([host, await statusOf('/api/status', { host: `${host}:${admin.port}` })]).toEqual([
        host,
        status,
      ]);
    }
    for (const host of [
      'localhost',
      'LOCALHOST:1',
      '127.0.0.1',
      '127.1.2.3:99',
      '[::1]:5',
      'holdfast.localhost',
    ]) {
      expect([host, await statusOf('/api/status', { host })]).toEqual([host, 200]);
    }
  });

  test('a page of another site cannot reload', async () => {
    const host = `127.0.0.1:${admin.port}`;
    expect(await statusOf('/api/reload', { host, origin: 'https://evil.example' }, 'POST')).toBe(403);
    expect(await statusOf('/api/reload', { host, origin: 'null' }, 'POST')).toBe(403);
    expect(await statusOf('/api/reload', { host, origin: `http://${host}` }, 'POST')).toBe(200);
    expect(source.calls).toEqual(['reload']);
  });

  test('elsewhere than on loopback any name is served', async () => {
    await admin.close();
    admin = await start(TOKEN, '0.0.0.0');
    expect(await statusOf('/healthz', { host: 'holdfast.example' })).toBe(200);
  });
});
