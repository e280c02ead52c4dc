// A pool of four servers, some of them ill in traffic only, behind the real balancer, and load on it.

import { type Backend, httpBackend } from './backend.ts';
import { type Holdfast, runInside, type StatusServer } from './holdfast.ts';
import { plainClient } from './plain-client.ts';

export interface Served {
  readonly holdfast: Holdfast;
  readonly backends: readonly Backend[];
  /** Requests that reached any server, by name. */
  readonly reached: Map<string, number>;
}

const NAMES = ['a', 'b', 'c', 'd'] as const;

/** `ill` servers are those given; the others answer at once. `more`: YAML of the pool, one key a line, unindented. */
export async function outlierPool(
  ill: Readonly<Record<string, (reached: () => void) => Promise<Backend>>>,
  more: string,
): Promise<Served> {
  const reached = new Map<string, number>();
  const backends = await Promise.all(
    NAMES.map((name) => {
      const count = (): void => void reached.set(name, (reached.get(name) ?? 0) + 1);
      return (
        ill[name]?.(count) ??
        httpBackend(name, (_request, response) => {
          count();
          response.end(name);
        })
      );
    }),
  );
  const servers = backends.map(({ url }, index) => `      - { name: ${NAMES[index]}, url: "${url}" }`);
  const holdfast = await runInside(
    [
      'threads: 2\nlisten: 127.0.0.1:0\nadmin: { address: 127.0.0.1:0 }\npools:\n  shop:',
      ...more
        .trim()
        .split('\n')
        .map((line) => `    ${line}`),
      '    servers:',
      ...servers,
    ].join('\n'),
  );
  return { holdfast, backends, reached };
}

export interface LoadReport {
  readonly requests: number;
  /** Replies by status; 0: none. */
  readonly statuses: Map<number, number>;
  /** Most servers that were ejected at once, as far as the status said. */
  readonly ejectedMax: number;
}

/** Eight connections of many clients ask again and again until `isDone` says so of the servers' states, at most `deadlineMs`. */
export async function loadUntil(
  holdfast: Holdfast,
  isDone: (servers: readonly StatusServer[]) => boolean | Promise<boolean>,
  deadlineMs = 30_000,
): Promise<LoadReport> {
  const statuses = new Map<number, number>();
  let requests = 0;
  let ejectedMax = 0;
  let isOver = false;
  const endMs = performance.now() + deadlineMs;
  const clients = Array.from({ length: 8 }, async () => {
    const client = plainClient(holdfast.port);
    while (!isOver) {
      requests += 1;
      const status = await client.ask('GET', '/', { 'x-forwarded-for': `192.0.2.${requests % 97}` }).then(
        (reply) => reply.status,
        () => 0,
      );
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  while (!isOver) {
    const servers = (await holdfast.status()).pools[0]?.servers ?? [];
    ejectedMax = Math.max(ejectedMax, servers.filter(({ state }) => state === 'ejected').length);
    const isLate = performance.now() > endMs;
    isOver = isLate || (await isDone(servers));
    if (isLate)
      throw new Error(`not so after ${deadlineMs} ms: ${JSON.stringify(servers)}\n${holdfast.log()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await Promise.all(clients);
  return { requests, statuses, ejectedMax };
}

export function stateOf(servers: readonly StatusServer[], name: string): string {
  return servers.find((server) => server.name === name)?.state ?? 'unknown';
}
