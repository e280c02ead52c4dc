// The description of the admin API says what the routes are and what they answer.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EventFeed } from '../../src/admin/events.ts';
import { apiReference, OPERATIONS, openApiDocument } from '../../src/admin/openapi.ts';
import { SCHEMAS, type SchemaName } from '../../src/admin/openapi-schemas.ts';
import { BODY_BYTES_MAX, createRoutes } from '../../src/admin/routes.ts';
import type { AdminSource } from '../../src/admin/source.ts';
import { packageVersion } from '../../src/base/version.ts';
import { faults } from '../support/api-schema.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { plainClient } from '../support/plain-client.ts';
import { takeoverScene } from '../support/takeover-scene.ts';
import { Source } from './fixture.ts';

const routesOf = (source: AdminSource): ReturnType<typeof createRoutes> =>
  createRoutes({
    source,
    feed: new EventFeed(),
    token: '',
    isLoopbackOnly: false,
    onError: (error) => {
      throw error;
    },
  });
const app = routesOf(new Source());

test('every route is described, and nothing else', () => {
  const described = OPERATIONS.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  const routes = app.routes
    .filter(({ method, path }) => method !== 'ALL' && /^\/(api\/|healthz|readyz|metrics)/.test(path))
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
  expect([...new Set(routes)].sort()).toEqual([...described].sort());
});

test('the document is served', async () => {
  const document: unknown = await (await app.request('/api/openapi.json')).json();
  expect(document).toEqual(JSON.parse(JSON.stringify(openApiDocument(packageVersion()))));
});

test('the checker itself finds what is wrong', () => {
  const { status } = { status: new Source().status() };
  expect(faults(status, SCHEMAS.Status, 'status')).toEqual([]);
  expect(faults({ ...status, threads: 'two', more: 1 }, SCHEMAS.Status, 'status')).toEqual([
    'status.threads is string, not integer',
    'status.more is not described',
  ]);
  expect(faults({ pools: [{}] }, SCHEMAS.History, 'h')[0]).toBe('h.pools[].name is missing');
});

test('every document of a running balancer has what is described, and nothing else', async () => {
  const servers = await Promise.all(['a', 'b'].map((name) => httpBackend(name)));
  const { running, port } = await takeoverScene(`
pools:
  shop:
    sticky: { mode: header-hash, header: x-user }
    state: shared
    rebalance: { mode: on }
    health: { interval: 100ms, fall: 1 }
    servers: ["${servers[0]?.url}", "${servers[1]?.url}", "http://127.0.0.1:${await freePort()}"]
`);
  const ask = async (path: string, init: RequestInit = {}): Promise<unknown> => {
    const answer = await fetch(`${running.adminUrl}${path}`, init);
    expect([path, answer.status]).toEqual([path, 200]);
    return answer.json();
  };
  const client = plainClient(port);
  for (let asked = 0; asked < 20; asked += 1) await client.ask('GET', '/', { 'x-user': 'one' });
  const name = encodeURIComponent(new URL(servers[0]?.url ?? '').host);
  const json = { 'content-type': 'application/json' };
  const body = JSON.stringify({ weight: 2 });
  const changed = await ask(`/api/pools/shop/servers/${name}`, { method: 'PATCH', headers: json, body });
  await eventually(async () => {
    const { pools } = (await ask('/api/history')) as { pools: readonly { times: readonly number[] }[] };
    return (pools[0]?.times.length ?? 0) > 2;
  });
  const found = {
    Status: await ask('/api/status'),
    History: await ask('/api/history'),
    Events: await ask('/api/events/recent'),
    Changed: changed,
    Plan: await ask(`/api/pools/shop/plan?action=drain&server=${name}`),
    Explanation: await ask('/api/pools/shop/explain', {
      method: 'POST',
      headers: json,
      body: '{"headers":{"x-user":"one"}}',
    }),
  };
  const { Events, ...others } = found;
  for (const [document, answer] of Object.entries(others))
    expect(faults(answer, SCHEMAS[document as SchemaName], document)).toEqual([]);
  // an event has more, by its type
  const { events } = Events as { events: readonly { at: string; number: number; type: string }[] };
  expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['verdict', 'server']));
  for (const { at, number, type } of events)
    expect(faults({ at, number, type }, SCHEMAS.Event, 'event')).toEqual([]);
  expect(found.Explanation).toMatchObject({ session: { key: expect.stringMatching(/^[0-9a-f]{8}$/) } });
});

test('errors have the type that the document says', async () => {
  const { paths } = openApiDocument('') as {
    readonly paths: Readonly<
      Record<string, Readonly<Record<string, { responses: Record<string, { content: object }> }>>>
    >;
  };
  const source = new Source();
  source.ready = () => ({ ok: false, reasons: ['pool shop has no eligible server'] });
  const sick = routesOf(source);
  const ask = async (method: string, path: string, body: string): Promise<readonly [number, string]> => {
    const request = method === 'get' ? {} : { method: method.toUpperCase(), body };
    const { status, headers } = await sick.request(path.replace(/\{\w+\}/g, 'none'), request);
    return [status, headers.get('content-type')?.split(';')[0] ?? ''];
  };
  const described = (method: string, path: string, status: number): readonly string[] =>
    Object.keys(paths[path]?.[method]?.responses[status]?.content ?? {});
  expect(await ask('get', '/readyz', '')).toEqual([503, ...described('get', '/readyz', 503)]);
  const large = 'x'.repeat(BODY_BYTES_MAX + 1);
  for (const { method, path } of OPERATIONS.filter((operation) => operation.method !== 'get'))
    expect([path, ...(await ask(method, path, large))]).toEqual([path, 413, ...described(method, path, 413)]);
});

test('what the document says is required is refused where it is missing, and nothing else is', async () => {
  const { paths } = openApiDocument('') as {
    readonly paths: Readonly<
      Record<string, { get?: { parameters?: readonly { in: string; name: string; required: boolean }[] } }>
    >;
  };
  const parameters = paths['/api/pools/{pool}/plan']?.get?.parameters ?? [];
  const needed = parameters.filter((one) => one.in === 'query' && one.required).map(({ name }) => name);
  expect(needed).toEqual(['action', 'server']);
  const source: AdminSource = new Source();
  source.plan = () => ({ ok: false, code: 'not-found', message: 'asked' });
  const planning = routesOf(source);
  const status = async (query: string): Promise<number> =>
    (await planning.request(`/api/pools/shop/plan?${query}`)).status;
  expect(await status('action=drain&server=a')).toBe(404);
  expect([await status('action=drain'), await status('server=a')]).toEqual([400, 400]);
  const patch = await app.request('/api/pools/shop/servers/a', {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
  });
  expect(patch.status).toBe(400);
});

test('docs/api.md is in step: `npm run docs` writes it', () => {
  const written = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  expect(apiReference() === written).toBe(true);
});
