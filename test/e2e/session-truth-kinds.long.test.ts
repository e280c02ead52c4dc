// holdfast_sessions equals what applications hold that keep their sessions each in its own way: Tomcat (one name, a path
// for each context), PHP (ids renewed, old ones live on), Flask (a signed value that rolls with each answer), MCP (a
// header, DELETE and 404). Nobody is logged out, though users ask in parallel.

import { createHmac, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';

const USERS = 30;
const ROUNDS = 4;

/** One server's application. */
interface Application {
  /** Living sessions. */
  held(): number;
  /** Status, and fields that the answer sets. */
  answer(path: string, method: string, key: string): { status: number; fields?: Record<string, string> };
  /** Loses one session of its own accord. */
  forget?(): boolean;
}

/** `key`: what the request shows under the name. */
function shownIn(request: IncomingMessage, name: string): string {
  const header = request.headers[name.toLowerCase()];
  if (typeof header === 'string') return header;
  const cookies = (request.headers.cookie ?? '').split('; ').map((pair) => pair.split('='));
  return cookies.find(([cookie]) => cookie === name)?.[1] ?? '';
}

const ok = { status: 200 };
const unknown = { status: 401 };

function tomcat(): Application {
  const contexts = new Map([
    ['a', new Set<string>()],
    ['b', new Set<string>()],
  ]);
  return {
    held: () => [...contexts.values()].reduce((sum, ids) => sum + ids.size, 0),
    answer: (path, _, key) => {
      const [, context = '', page] = path.split('/');
      const ids = contexts.get(context)!;
      if (page === 'login') {
        const id = randomUUID();
        ids.add(id);
        return { ...ok, fields: { 'set-cookie': `JSESSIONID=${id}; Path=/${context}; HttpOnly` } };
      }
      if (!ids.has(key)) return unknown;
      if (page !== 'logout') return ok;
      ids.delete(key);
      return { ...ok, fields: { 'set-cookie': `JSESSIONID=; Path=/${context}; Max-Age=0` } };
    },
  };
}

function php(): Application {
  /** Ids lead to sessions; a renewed session has several. */
  const ids = new Map<string, symbol>();
  const living = new Set<symbol>();
  const give = (session: symbol): ReturnType<Application['answer']> => {
    const id = randomUUID();
    ids.set(id, session);
    return { ...ok, fields: { 'set-cookie': `PHPSESSID=${id}; path=/` } };
  };
  return {
    held: () => living.size,
    answer: (path, _, key) => {
      const session = ids.get(key);
      if (path === '/a/login') {
        const begun = Symbol();
        living.add(begun);
        return give(begun);
      }
      if (session === undefined || !living.has(session)) return unknown;
      if (path === '/a/renew') return give(session);
      if (path !== '/a/logout') return ok;
      living.delete(session);
      const expires = 'Thu, 01 Jan 1970 00:00:01 GMT';
      return { ...ok, fields: { 'set-cookie': `PHPSESSID=deleted; expires=${expires}; path=/` } };
    },
  };
}

function flask(): Application {
  const secret = randomUUID();
  const users = new Set<string>();
  let answers = 0;
  const sign = (text: string): string => createHmac('sha256', secret).update(text).digest('base64url');
  const give = (user: string): ReturnType<Application['answer']> => {
    answers += 1;
    const text = `${user}.${answers}`;
    return { ...ok, fields: { 'set-cookie': `session=${text}.${sign(text)}; HttpOnly; Path=/` } };
  };
  return {
    held: () => users.size,
    answer: (path, _, key) => {
      if (path === '/a/login') {
        const user = randomUUID();
        users.add(user);
        return give(user);
      }
      const [user = '', count, signature] = key.split('.');
      if (signature !== sign(`${user}.${count}`) || !users.has(user)) return unknown;
      if (path !== '/a/logout') return give(user);
      users.delete(user);
      return { ...ok, fields: { 'set-cookie': 'session=; Max-Age=0; Path=/' } };
    },
  };
}

function mcp(): Application {
  const ids = new Set<string>();
  return {
    held: () => ids.size,
    answer: (path, method, key) => {
      if (path === '/a/login') {
        const id = randomUUID();
        ids.add(id);
        return { ...ok, fields: { 'mcp-session-id': id } };
      }
      if (!ids.has(key)) return { status: 404 };
      if (method !== 'DELETE') return ok;
      ids.delete(key);
      return { status: 204 };
    },
    forget: () => ids.delete(ids.values().next().value!),
  };
}

interface Kind {
  readonly title: string;
  readonly name: string;
  readonly sticky: string;
  readonly make: () => Application;
  readonly contexts: readonly string[];
  /** Pages that a logged-in user asks for, all at once. */
  readonly pages: readonly string[];
}

const KINDS: readonly Kind[] = [
  { title: 'Tomcat', name: 'JSESSIONID', make: tomcat, contexts: ['a', 'b'], pages: ['x', 'y', 'z'] },
  { title: 'PHP', name: 'PHPSESSID', make: php, contexts: ['a'], pages: ['x', 'renew', 'y', 'renew'] },
  { title: 'Flask', name: 'session', make: flask, contexts: ['a'], pages: ['x', 'y', 'z'] },
  { title: 'MCP', name: 'mcp-session-id', make: mcp, contexts: ['a'], pages: ['x', 'y', 'z'] },
].map((kind) => ({
  ...kind,
  sticky: `{ mode: learn, ${kind.title === 'MCP' ? 'header' : 'cookie'}: ${kind.name} }`,
}));

/** A browser, or an MCP client, with what it was given last for each path. */
class User {
  readonly #url: string;
  readonly #kind: Kind;
  readonly #values = new Map<string, string>();

  constructor(url: string, kind: Kind) {
    this.#url = url;
    this.#kind = kind;
  }

  async ask(path: string, method = 'GET'): Promise<number> {
    const { name, title } = this.#kind;
    const headers: Record<string, string> = {};
    const shown = [...this.#values].filter(([scope]) => path.startsWith(scope));
    if (title === 'MCP') for (const [, value] of shown) headers[name] = value;
    else headers['cookie'] = ['theme=dark', ...shown.map(([, value]) => `${name}=${value}`)].join('; ');
    const response = await fetch(`${this.#url}${path}`, { method, headers });
    await response.arrayBuffer();
    const given = response.headers.get(name);
    if (given !== null) this.#values.set('/', given);
    for (const field of response.headers.getSetCookie()) {
      const [, value = ''] = /^[^=]*=([^;]*)/.exec(field)!;
      const [, scope = '/'] = /path=([^;]*)/i.exec(field)!;
      if (/max-age=0|expires=/i.test(field)) this.#values.delete(scope);
      else this.#values.set(scope, value);
    }
    return response.status;
  }

  logOut(context: string): Promise<number> {
    return this.#kind.title === 'MCP' ? this.ask(`/${context}/x`, 'DELETE') : this.ask(`/${context}/logout`);
  }
}

async function isEqual(
  holdfast: RunningHoldfast,
  applications: readonly Application[],
  total: number,
): Promise<void> {
  const names = ['one', 'two'];
  let counted: number[] = [];
  const held = (): number[] => applications.map((application) => application.held());
  await eventually(
    async () => {
      counted = await Promise.all(names.map((server) => holdfast.metric('holdfast_sessions', { server })));
      return JSON.stringify(counted) === JSON.stringify(held());
    },
    { deadlineMs: 15_000, what: () => `${held()} held, ${counted} counted` },
  );
  expect(counted[0]! + counted[1]!).toBe(total);
}

test.each(KINDS)('$title', async (kind) => {
  const applications = [kind.make(), kind.make()];
  const backends = await Promise.all(
    applications.map((application, at) =>
      httpBackend(`${at}`, (request: IncomingMessage, response: ServerResponse) => {
        const { url = '', method = '' } = request;
        const { status, fields } = application.answer(url, method, shownIn(request, kind.name));
        response.writeHead(status, fields).end();
      }),
    ),
  );
  const holdfast = await runHoldfast(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: round-robin
    sticky: ${kind.sticky}
    servers:
      - { name: one, url: "${backends[0]!.url}" }
      - { name: two, url: "${backends[1]!.url}" }
`,
    { threads: 2 },
  );
  const users = Array.from({ length: USERS }, () => new User(holdfast.url, kind));
  const all = (ask: (user: User, context: string) => Promise<number>): Promise<number[]> =>
    Promise.all(users.flatMap((user) => kind.contexts.map((context) => ask(user, context))));
  const sessions = USERS * kind.contexts.length;
  // a browser has one cookie of a path before it asks for more
  expect(new Set(await all((user, context) => user.ask(`/${context}/login`)))).toEqual(new Set([200]));
  await isEqual(holdfast, applications, sessions);

  for (let round = 0; round < ROUNDS; round += 1) {
    const answers = await Promise.all(
      kind.pages.map((page) => all((user, context) => user.ask(`/${context}/${page}`))),
    );
    expect(new Set(answers.flat())).toEqual(new Set([200]));
  }
  await isEqual(holdfast, applications, sessions);

  // every third leaves one context; the other, and everybody else, stays logged in
  const leaving = users.filter((_, at) => at % 3 === 0);
  for (const user of leaving) expect(await user.logOut('a')).toBeLessThan(300);
  await isEqual(holdfast, applications, sessions - leaving.length);
  const staying = users.filter((user) => !leaving.includes(user));
  const answers = await Promise.all(staying.map((user) => user.ask('/a/x')));
  expect(new Set(answers)).toEqual(new Set([200]));
  for (const user of kind.contexts.includes('b') ? users : []) expect(await user.ask('/b/x')).toBe(200);

  const forgotten = applications.filter((application) => application.forget?.()).length;
  expect((await Promise.all(staying.map((user) => user.ask('/a/x')))).filter((it) => it === 404).length).toBe(
    forgotten,
  );
  await isEqual(holdfast, applications, sessions - leaving.length - forgotten);
  for (const user of users) for (const context of kind.contexts) await user.logOut(context);
  await isEqual(holdfast, applications, 0);
  expect(await holdfast.metric('holdfast_sessions_created_total')).toBe(sessions);
  expect(await holdfast.metric('holdfast_sessions_ended_total', { reason: 'logout' })).toBe(sessions);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
});
