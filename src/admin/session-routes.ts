// The routes about sessions: what a change would do to them, and where a request would go. Both read only.
//
//   GET   /api/pools/:pool/plan?action=drain|add|remove&server=NAME[&weight=N]
//   GET   /api/pools/:pool/explain?cookie=V&header=N:V&ip=A&target=/P   header may come several times
//   POST  /api/pools/:pool/explain   {"cookie": "...", "headers": {"name": "value"}, "ip": "...", "target": "/..."}
//
// A cookie in a URL ends up in logs and histories: programs use POST.

import type { Context, Hono, MiddlewareHandler } from 'hono';
import type { ExplainQuestion } from '../choose/explain.ts';
import { WEIGHT_MAX } from '../config/limits.ts';
import { PLAN_ACTIONS } from '../sessions/plan.ts';
import { jsonObject } from './json-body.ts';
import type { AdminSource, ErrorCode } from './source.ts';

const NOT_HERE = 'this process cannot answer that';

type Refuse = (c: Context, code: ErrorCode, message: string) => Response;

/** `limitBody` guards what is read; `refuse` writes the API's error document. */
export function addSessionRoutes(
  app: Hono,
  source: AdminSource,
  limitBody: MiddlewareHandler,
  refuse: Refuse,
): void {
  app.get('/api/pools/:pool/plan', (c) => answerPlan(c, source, refuse));
  app.get('/api/pools/:pool/explain', (c) => answerExplain(c, source, refuse, readQuery(c)));
  app.post('/api/pools/:pool/explain', limitBody, async (c) =>
    answerExplain(c, source, refuse, readBody(await c.req.text())),
  );
}

function answerPlan(c: Context, source: AdminSource, refuse: Refuse): Response {
  if (source.plan === undefined) return refuse(c, 'conflict', NOT_HERE);
  const action = PLAN_ACTIONS.find((known) => known === c.req.query('action'));
  if (action === undefined) return refuse(c, 'bad-request', `action must be ${PLAN_ACTIONS.join(', ')}`);
  const server = c.req.query('server') ?? '';
  if (server === '') return refuse(c, 'bad-request', 'server must be the name of a server');
  const weight = Number(c.req.query('weight') ?? 1);
  if (!(weight >= 0 && weight <= WEIGHT_MAX)) {
    return refuse(c, 'bad-request', `weight must be a number from 0 to ${WEIGHT_MAX}`);
  }
  const result = source.plan(c.req.param('pool') ?? '', action, server, weight);
  return result.ok ? c.json(result.plan) : refuse(c, result.code, result.message);
}

function answerExplain(
  c: Context,
  source: AdminSource,
  refuse: Refuse,
  question: ExplainQuestion | string,
): Response {
  if (source.explain === undefined) return refuse(c, 'conflict', NOT_HERE);
  if (typeof question === 'string') return refuse(c, 'bad-request', question);
  const result = source.explain(c.req.param('pool') ?? '', question);
  return result.ok ? c.json(result.explanation) : refuse(c, result.code, result.message);
}

function readQuery(c: Context): ExplainQuestion | string {
  const headers: [string, string][] = [];
  for (const line of c.req.queries('header') ?? []) {
    const colon = line.indexOf(':');
    if (colon < 1) return 'header must be NAME:VALUE';
    headers.push([line.slice(0, colon).trim(), line.slice(colon + 1).trim()]);
  }
  const { cookie = '', ip: address = '', target = '/' } = c.req.query();
  return { cookie, headers, address, target };
}

function readBody(text: string): ExplainQuestion | string {
  const body = jsonObject(text);
  if (typeof body === 'string') return body;
  const { cookie = '', headers = {}, ip = '', target = '/' } = body;
  if (typeof cookie !== 'string' || typeof ip !== 'string' || typeof target !== 'string')
    return 'cookie, ip and target must be text';
  if (typeof headers !== 'object' || headers === null) return 'headers must be an object of text';
  const list = Object.entries(headers as Readonly<Record<string, unknown>>);
  if (list.some(([, value]) => typeof value !== 'string')) return 'headers must be an object of text';
  return { cookie, headers: list.map(([name, value]) => [name, String(value)]), address: ip, target };
}
