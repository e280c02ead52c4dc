// An embedded balancer on a node:http server of the test's own process.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { BalancerConfig } from '../../src/config/balancer-config.ts';
import { createBalancer, type EmbeddedBalancer } from '../../src/embed/balancer.ts';
import type { BalancerOptions } from '../../src/embed/options.ts';
import { eventually } from '../support/eventually.ts';

export interface Embedded {
  readonly balancer: EmbeddedBalancer;
  readonly server: Server;
  readonly port: number;
  readonly url: string;
}

/** A small table: the default of a million sessions is more than a test needs. */
export const SMALL = { sessions: { max: 1000 } };

/** Nothing listens there; the port of a server that was closed could be given to another. */
export const NOBODY = 'http://127.0.0.1:1';

/**
 * Starts it and waits until every pool has a server, unless `unready`. The configuration may be one that a test has put together of
 * parts, in which the compiler takes words for any text.
 * Everything ends with the test. */
export async function embed(
  config: object,
  options: BalancerOptions & { readonly unready?: boolean } = {},
): Promise<Embedded> {
  const { unready = false, ...rest } = options;
  const balancer = await createBalancer({ ...SMALL, ...config } as object as BalancerConfig, rest);
  const server = createServer(balancer.middleware());
  server.on('upgrade', balancer.upgrade);
  const url = await listen(server);
  onTestFinished(() => balancer.close(0));
  if (!unready)
    await eventually(() => balancer.ready().ok, { what: () => balancer.ready().reasons.join(', ') });
  return { balancer, server, url, port: Number(new URL(url).port) };
}

/** Listens on a free port until the test ends. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Resolves when no request is in flight, and no connection to a server is busy. */
export async function nothingLeft({ balancer }: Pick<Embedded, 'balancer'>): Promise<void> {
  await eventually(
    () => balancer.status().pools.every(({ servers }) => servers.every((one) => one.inFlight === 0)),
    { what: () => `no request in flight: ${JSON.stringify(balancer.status().pools)}` },
  );
  await eventually(async () =>
    /^holdfast_upstream_connections\{.*state="active"\} 0$/m.test((await balancer.metrics()).body),
  );
}

/** The balancer's cookie of a response, as a client sends it back; '' for none. */
export function cookieOf(response: Response): string {
  return (
    response.headers
      .getSetCookie()
      .find((line) => line.startsWith('holdfast='))
      ?.split(';')[0] ?? ''
  );
}
