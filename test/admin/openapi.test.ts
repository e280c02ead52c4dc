// The description of the admin API says what the routes are and what they answer.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EventFeed } from '../../src/admin/events.ts';
import { apiReference, OPERATIONS, openApiDocument, STATUS_PROPERTIES } from '../../src/admin/openapi.ts';
import { BODY_BYTES_MAX, createRoutes } from '../../src/admin/routes.ts';
import type { AdminSource } from '../../src/admin/source.ts';
import { packageVersion } from '../../src/base/version.ts';
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

test('the document is served, and a status document has what it says and no more', async () => {
  const document: unknown = await (await app.request('/api/openapi.json')).json();
  expect(document).toEqual(JSON.parse(JSON.stringify(openApiDocument(packageVersion()))));
  const status = (await (await app.request('/api/status')).json()) as object;
  expect(Object.keys(status).sort()).toEqual(Object.keys(STATUS_PROPERTIES).sort());
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
