// Host and path rules, first match wins.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { compilePool } from '../../src/choose/plan.ts';
import { Router } from '../../src/choose/route.ts';
import type { RouteConfig } from '../../src/config/model.ts';
import { RequestHead } from '../../src/http1/message.ts';
import { parseRequestHead } from '../../src/http1/request.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { poolOf, SECRET } from './fixture.ts';

const POOLS = ['api', 'shop', 'rest'] as const;

function routerOf(routes: readonly RouteConfig[], pools: readonly string[] = POOLS): Router {
  const revisions = pools.map((name, id) => ({
    id,
    config: poolOf({ pool: { name } }),
    slots: [id * 4, id * 4 + 1, id * 4 + 2, id * 4 + 3],
    generations: [1, 1, 1, 1],
    keys: [SECRET],
  }));
  const revision: Revision = {
    number: 1,
    config: {
      threads: 1,
      listen: [],
      admin: null,
      trusted: [],
      accessLog: null,
      startsTraces: false,
      via: null,
      showsDetails: false,
      errorPages: {},
      pages: {},
      resolver: [],
      shutdown: { graceMs: 0 },
      sessions: { max: 1000, file: null, saveEveryMs: 5000, perAddress: 0 },
      routes,
      pools: revisions.map((pool) => pool.config),
    },
    pools: revisions,
  };
  return new Router(
    revision,
    revisions.map((pool) => compilePool(pool, new SeededRandom(1))),
  );
}

function route(router: Router, host: string, target: string): string | null {
  const buffer = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1');
  const head = new RequestHead();
  const limits = { headBytesMax: 4096, headerCountMax: 10, watched: [] };
  expect(parseRequestHead(buffer, 0, buffer.length, limits, head)).toBe(buffer.length);
  return router.route(buffer, head)?.config.name ?? null;
}

const rule = (host: string | null, path: string | null, pool: string): RouteConfig => ({
  host,
  path,
  stripPrefix: false,
  pool,
  clientAuth: null,
  rateLimit: null,
});

describe('hosts', () => {
  const router = routerOf([
    rule('api.example.com', null, 'api'),
    rule('*.example.com', null, 'shop'),
    rule('[::1]', null, 'rest'),
  ]);

  test.each([
    ['api.example.com', 'api'],
    ['API.Example.COM:8443', 'api'],
    ['api.example.com.', 'api'],
    ['www.example.com', 'shop'],
    ['a.b.example.com:80', 'shop'],
    ['example.com', null],
    ['.example.com', null],
    ['badexample.com', null],
    ['www.example.com.evil.org', null],
    ['[::1]:8080', 'rest'],
  ])('%s goes to %s', (host, pool) => {
    expect(route(router, host, '/')).toBe(pool);
  });
});

describe.each(['/api', '/api/'])('path %s', (path) => {
  const router = routerOf([rule(null, path, 'api')]);

  test.each([
    ['/api', 'api'],
    ['/api/', 'api'],
    ['/api/x?y=/z', 'api'],
    ['/api?x', 'api'],
    ['/apix', null],
    ['/api.', null],
    ['/API', null],
    ['/', null],
    ['/?/api', null],
    ['/api%2fx', null],
    ['/%61pi', null],
    ['//api', null],
    ['/x/../api', null],
    ['http://any.example/api/x', 'api'],
    ['http://any.example', null],
  ])('%s goes to %s', (target, pool) => {
    expect(route(router, 'any.example', target)).toBe(pool);
  });
});

test('the first match wins, host and path must both match, no match is null', () => {
  const router = routerOf([
    rule('a.example', '/api', 'api'),
    rule('a.example', null, 'shop'),
    rule(null, '/', 'rest'),
  ]);
  expect(route(router, 'a.example', '/api/1')).toBe('api');
  expect(route(router, 'a.example', '/other')).toBe('shop');
  expect(route(router, 'b.example', '/api/1')).toBe('rest');
  expect(route(router, 'b.example', 'http://b.example')).toBe('rest');
  expect(route(routerOf([rule('a.example', null, 'api')]), 'b.example', '/')).toBeNull();
});

test('without routes everything goes to the one pool; without plans nowhere', () => {
  expect(route(routerOf([], ['shop']), 'any.example', '/x')).toBe('shop');
  expect(route(routerOf([], []), 'any.example', '/x')).toBeNull();
  expect(route(routerOf([rule(null, null, 'gone')]), 'any.example', '/x')).toBeNull();
});
