/** autocannon in a process of its own, so that it can be pinned: `node autocannon-child.ts JSON`, prints JSON. */
import { createRequire } from 'node:module';
import type { Target } from './load.ts';
import { cookieValue, HOST } from './scenarios.ts';

type Connection = { setHeaders: (headers: Readonly<Record<string, string>>) => void };
type Options = {
  url: string;
  method: 'GET' | 'POST';
  body: string | undefined;
  connections: number;
  duration: number;
  setupClient: (connection: Connection) => void;
};
type Result = {
  '2xx': number;
  non2xx: number;
  errors: number;
  duration: number;
  latency: { p50: number; p99: number };
};

// The package has no types of its own; this is the part we use.
const autocannon = createRequire(import.meta.url)('autocannon') as (options: Options) => Promise<Result>;
const order = JSON.parse(process.argv[2] ?? '{}') as Target & { readonly seconds: number };

const { sentBytes = 0 } = order.scenario;
let visitor = 0;
const result = await autocannon({
  url: `${order.scenario.isSecure ? 'https' : 'http'}://127.0.0.1:${order.port}${order.scenario.path}`,
  method: sentBytes > 0 ? 'POST' : 'GET',
  body: sentBytes > 0 ? 'u'.repeat(sentBytes) : undefined,
  connections: order.connections,
  duration: order.seconds,
  setupClient(connection) {
    const cookie = cookieValue(order.scenario, order.visitors[visitor++ % order.visitors.length] ?? '');
    const headers = Object.fromEntries(order.scenario.headers);
    connection.setHeaders({ host: HOST, ...headers, ...(cookie === '' ? {} : { cookie }) });
  },
});
console.log(
  JSON.stringify({
    requests: result['2xx'],
    errors: result.errors + result.non2xx,
    seconds: result.duration,
    p50Micros: result.latency.p50 * 1000,
    p99Micros: result.latency.p99 * 1000,
  }),
);
