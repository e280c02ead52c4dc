// The description of the admin API says what the routes are and what they answer.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EventFeed } from '../../src/admin/events.ts';
import { apiReference, OPERATIONS, openApiDocument, STATUS_PROPERTIES } from '../../src/admin/openapi.ts';
import { createRoutes } from '../../src/admin/routes.ts';
import { packageVersion } from '../../src/base/version.ts';
import { Source } from './fixture.ts';

const app = createRoutes({
  source: new Source(),
  feed: new EventFeed(),
  token: '',
  isLoopbackOnly: false,
  onError: (error) => {
    throw error;
  },
});

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

test('docs/api.md is in step: `npm run docs` writes it', () => {
  const written = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  expect(apiReference() === written).toBe(true);
});
