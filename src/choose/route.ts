// Which pool a request belongs to: by host and path prefix, the first route that matches.
//
// The path is matched as it was written, byte by byte: nothing is decoded and no dot segment resolved, so "/%61pi",
// "/api%2fx" and "/x/../api" are not under "/api". What is routed is exactly what is sent upstream, and a path in a route
// is not an access rule: whoever guards a path must do it where the path is interpreted. A host is read as servers read it.

import type { RouteConfig } from '../config/model.ts';
import { beginsWith, COLON, DOT, LOWER, SLASH } from '../http1/bytes.ts';
import type { RequestHead } from '../http1/message.ts';
import type { Revision } from '../shared/revision.ts';
import type { PoolPlan } from './plan.ts';

const QUESTION_MARK = 0x3f;
const BRACKET_OPEN = 0x5b;
const BRACKET_CLOSE = 0x5d;

interface Route {
  /** Lower case, without the wildcard's star: then it begins with a dot. Empty: any host. */
  readonly host: Uint8Array;
  readonly isWildcard: boolean;
  /** Without a slash at its end. Empty: any path. */
  readonly path: Uint8Array;
  readonly stripsPath: boolean;
  readonly needsCertificate: boolean;
  readonly plan: PoolPlan;
}

export class Router {
  readonly #routes: readonly Route[];
  /** The pool of all requests, when there are no routes. */
  readonly #only: PoolPlan | null;
  /** Place in the configuration of each of #routes. */
  readonly #places: readonly number[];
  /** Place in the configuration of the route that matched last; -1 when none did. */
  matched = -1;
  /** It is for clients with a good certificate alone. */
  needsCertificate = false;

  /** `plans`: one per pool of the revision, in any order; routes to pools without a plan match nothing. */
  constructor(revision: Revision, plans: readonly PoolPlan[]) {
    const { routes } = revision.config;
    this.#routes = routes.flatMap((route) => {
      const plan = plans.find((candidate) => candidate.config.name === route.pool);
      return plan === undefined ? [] : [compileRoute(route, plan)];
    });
    this.#places = routes.flatMap(({ pool }, place) =>
      plans.some((candidate) => candidate.config.name === pool) ? [place] : [],
    );
    this.#only = routes.length === 0 ? (plans[0] ?? null) : null;
  }

  /**
   * The pool's plan; null when no route matches. O(routes), allocates nothing. Writes `head.strippedBytes`: what the route
   * takes off the path.
   */
  route(buffer: Buffer, head: RequestHead): PoolPlan | null {
    head.strippedBytes = 0;
    this.needsCertificate = false;
    if (this.#only !== null) return this.#only;
    const hostEnd = endOfName(buffer, head.hostBegin, head.hostEnd);
    for (let index = 0; index < this.#routes.length; index += 1) {
      const route = this.#routes[index] as Route;
      if (!matchesHost(route, buffer, head.hostBegin, hostEnd)) continue;
      if (!matchesPath(route.path, buffer, head.pathBegin, head.pathEnd)) continue;
      this.matched = this.#places[index] as number;
      this.needsCertificate = route.needsCertificate;
      if (route.stripsPath) head.strippedBytes = route.path.length;
      return route.plan;
    }
    this.matched = -1;
    return null;
  }
}

/** Is that the host that the request is for, as routes read it? */
export function isHost(buffer: Buffer, { hostBegin, hostEnd }: RequestHead, name: string): boolean {
  const host = buffer.toString('latin1', hostBegin, endOfName(buffer, hostBegin, hostEnd));
  return host.toLowerCase() === name.toLowerCase().replace(/\.$/, '');
}

function compileRoute(route: RouteConfig, plan: PoolPlan): Route {
  const host = route.host ?? '';
  const isWildcard = host.startsWith('*.');
  return {
    host: Buffer.from(isWildcard ? host.slice(1) : host, 'latin1'),
    isWildcard,
    path: Buffer.from((route.path ?? '').replace(/\/+$/, ''), 'latin1'),
    stripsPath: route.stripPrefix,
    needsCertificate: route.clientAuth === 'require',
    plan,
  };
}

/** End of the host's name: before a port, and before the dot that a fully qualified name may end with. */
function endOfName(buffer: Buffer, begin: number, end: number): number {
  let position = begin;
  if (buffer[begin] === BRACKET_OPEN) {
    while (position < end && buffer[position] !== BRACKET_CLOSE) position += 1;
    return Math.min(position + 1, end);
  }
  while (position < end && buffer[position] !== COLON) position += 1;
  return position > begin + 1 && buffer[position - 1] === DOT ? position - 1 : position;
}

/** A wildcard stands for one label or more, never for none. */
function matchesHost(route: Route, buffer: Buffer, begin: number, end: number): boolean {
  const { host } = route;
  if (host.length === 0) return true;
  const surplus = end - begin - host.length;
  if (route.isWildcard ? surplus < 1 : surplus !== 0) return false;
  const nameBegin = begin + surplus;
  for (let at = 0; at < host.length; at += 1) {
    if (LOWER[buffer[nameBegin + at] as number] !== host[at]) return false;
  }
  return true;
}

/** The prefix ends where a segment ends. A target without a path (absolute-form) counts as "/". */
function matchesPath(path: Uint8Array, buffer: Buffer, begin: number, end: number): boolean {
  const { length } = path;
  if (length === 0) return true;
  if (!beginsWith(path, buffer, begin, end)) return false;
  const next = begin + length;
  return next === end || buffer[next] === SLASH || buffer[next] === QUESTION_MARK;
}
