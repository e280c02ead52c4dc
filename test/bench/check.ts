/** The check before any timing: a proxy that loses, swaps or alters anything is not worth timing. */
import { createHash } from 'node:crypto';
import { type Asked, type Client, cookiesSet, createClient, type Reply } from './client.ts';
import { itemBody, largeBody } from './echo-backend.ts';
import { HOST, LARGE_BODY_BYTES } from './scenarios.ts';

const SEQUENTIAL_COUNT = 200;
const PARALLEL_COUNT = 64;
const VISITOR_COUNT = 12;
const VISIT_COUNT = 6;
const UPLOAD_BYTES = 64 * 1024;

/** Tries everything against a proxy whose servers are echo backends. Gives one sentence per fault, none when fine. */
export async function check(port: number, isSticky: boolean): Promise<readonly string[]> {
  const client = createClient(port, 16);
  const faults: string[] = [];
  const steps: readonly [string, () => Promise<string | null>][] = [
    ['sequential replies', () => sequential(client)],
    ['parallel replies', () => parallel(client)],
    ['headers', () => headersArrive(client)],
    ['100 KB body', () => largeArrives(client)],
    ['chunked reply', () => expectReply(client, '/chunked', {}, 200, 'onetwo')],
    ['status 404', () => expectReply(client, '/status/404', {}, 404, 'status')],
    ['status 204', () => expectReply(client, '/status/204', {}, 204, '')],
    ['HEAD', () => expectReply(client, '/item/7', { method: 'HEAD' }, 200, '')],
    ['upload', () => upload(client, { 'content-length': String(UPLOAD_BYTES) })],
    ['chunked upload', () => upload(client, { 'transfer-encoding': 'chunked' })],
    ['affinity', () => (isSticky ? staysHome(port) : Promise.resolve(null))],
  ];
  for (const [name, step] of steps) {
    const fault = await step().catch((error: unknown) => String(error));
    if (fault !== null) faults.push(`${name}: ${fault}`);
  }
  client.close();
  return faults;
}

/** Tries the timed backends' replies through the proxy: status, length, and the same bytes each time. */
export async function checkTimed(port: number, smallBytes: number): Promise<readonly string[]> {
  const client = createClient(port);
  const faults: string[] = [];
  for (const [path, bytes] of [
    ['/small', smallBytes],
    ['/large', LARGE_BODY_BYTES],
  ] as const) {
    const reply = await client.get(path).catch((error: unknown) => String(error));
    if (typeof reply === 'string') faults.push(`${path}: ${reply}`);
    else if (reply.status !== 200) faults.push(`${path}: status ${reply.status}`);
    else if (reply.body.length !== bytes)
      faults.push(`${path}: ${reply.body.length} bytes, expected ${bytes}`);
    else if (!reply.body.every((byte) => byte === reply.body[0])) faults.push(`${path}: altered body`);
  }
  client.close();
  return faults;
}

async function sequential(client: Client): Promise<string | null> {
  for (let item = 0; item < SEQUENTIAL_COUNT; item++) {
    const fault = await expectReply(client, `/item/${item}`, {}, 200, itemBody(item));
    if (fault !== null) return fault;
  }
  return null;
}

async function parallel(client: Client): Promise<string | null> {
  const asked = Array.from({ length: PARALLEL_COUNT }, (_, index) =>
    expectReply(client, `/item/${1000 + index}`, {}, 200, itemBody(1000 + index)),
  );
  return (await Promise.all(asked)).find((fault) => fault !== null) ?? null;
}

async function headersArrive(client: Client): Promise<string | null> {
  const sent = { cookie: 'one=1; two=2', 'x-plain': 'kept as it is', accept: 'text/html;q=0.9' };
  const reply = await client.get('/headers', sent);
  const seen = JSON.parse(reply.body.toString()) as Readonly<Record<string, string>>;
  for (const [name, value] of Object.entries({ ...sent, host: HOST })) {
    if (seen[name] !== value) return `${name} arrived as ${seen[name]}, sent was ${value}`;
  }
  return null;
}

async function largeArrives(client: Client): Promise<string | null> {
  const reply = await client.get('/large');
  if (reply.status !== 200) return `status ${reply.status}`;
  const [seen, expected] = [reply.body, largeBody()].map((body) =>
    createHash('sha256').update(body).digest('hex'),
  );
  return seen === expected ? null : `hash ${seen}, expected ${expected}`;
}

async function upload(client: Client, headers: Readonly<Record<string, string>>): Promise<string | null> {
  const body = largeBody().subarray(0, UPLOAD_BYTES);
  const reply = await client.ask('/echo', { method: 'POST', headers, body });
  if (reply.status !== 200) return `status ${reply.status}`;
  return reply.body.equals(body) ? null : `${reply.body.length} bytes came back, other than sent`;
}

/** New visitors get a cookie; with it they meet one server each, on any connection; together they meet both. */
async function staysHome(port: number): Promise<string | null> {
  const homes = new Set<string>();
  for (let visitor = 0; visitor < VISITOR_COUNT; visitor++) {
    const first = createClient(port);
    const welcome = await first.get('/');
    const cookie = cookiesSet(welcome);
    if (cookie === '') return 'no cookie for a new visitor';
    const home = serverOf(welcome);
    homes.add(home);
    const second = createClient(port);
    for (let visit = 0; visit < VISIT_COUNT; visit++) {
      const client = visit % 2 === 0 ? first : second;
      const server = serverOf(await client.get('/', { cookie: `theme=dark; ${cookie}` }));
      if (server !== home) return `visitor ${visitor} moved from ${home} to ${server}`;
    }
    first.close();
    second.close();
  }
  return homes.size >= 2 ? null : `${VISITOR_COUNT} visitors all went to ${[...homes].join()}`;
}

async function expectReply(client: Client, path: string, asked: Asked, status: number, body: string) {
  const reply = await client.ask(path, asked);
  if (reply.status !== status) return `${path}: status ${reply.status}, expected ${status}`;
  const seen = reply.body.toString();
  return seen === body ? null : `${path}: body ${JSON.stringify(seen.slice(0, 40))}, not as sent`;
}

function serverOf(reply: Reply): string {
  return String(reply.headers['x-backend']);
}
