// Servers for one user at a time (maxSessions: 1), over the threads of a process: nobody ever shares one, who waits gets the
// place of whoever leaves, and who waits in vain is told when to come again.

import { get } from 'node:http';
import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast, runInside } from '../support/holdfast.ts';

const SEATS = 3;
const CLIENTS = 12;

/** One user. Each request is a connection of its own, so that any thread may get it. */
class Guest {
  #cookie = '';

  async ask(
    base: string,
    path: string,
  ): Promise<{ status: number; server: string; retryAfter: string | null }> {
    const headers = { connection: 'close', ...(this.#cookie === '' ? {} : { cookie: this.#cookie }) };
    const response = await fetch(`${base}${path}`, { headers });
    const [set] = response.headers.getSetCookie();
    if (set !== undefined) this.#cookie = set.split(';')[0] ?? '';
    return {
      status: response.status,
      server: await response.text(),
      retryAfter: response.headers.get('retry-after'),
    };
  }
}

const seats = (): Promise<readonly { readonly url: string }[]> =>
  Promise.all(
    Array.from({ length: SEATS }, (_, index) =>
      httpBackend(`s${index}`, ({ url }, response) => {
        if (url === '/leave') response.setHeader('x-holdfast-session', 'end');
        response.end(`s${index}`);
      }),
    ),
  );

async function yamlOf(queue: string): Promise<string> {
  return `
threads: 2
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  seats:
    sticky: { mode: cookie-hash }
    health: off
    queue: ${queue}
    servers: [${(await seats()).map(({ url }) => `{ url: "${url}", maxSessions: 1 }`).join(', ')}]
`;
}

const scene = async (queue: string): Promise<Awaited<ReturnType<typeof runInside>>> =>
  runInside(await yamlOf(queue));

test('of those who come at once as many are served as there are seats, and the rest is told to come again', async () => {
  const holdfast = await scene('{ size: 0 }');
  const guests = Array.from({ length: CLIENTS }, () => new Guest());
  const come = () => Promise.all(guests.map((guest) => guest.ask(holdfast.url, '/')));
  const first = await come();
  const seated = first.flatMap(({ status, server }) => (status === 200 ? [server] : []));
  // of two threads that take the last place at once both may be told no
  expect(new Set(seated).size).toBe(seated.length);
  await eventually(async () => (await come()).filter(({ status }) => status === 200).length === SEATS);
  const again = await come();
  expect(
    again
      .filter(({ status }) => status === 200)
      .map(({ server }) => server)
      .toSorted(),
  ).toEqual([...['s0', 's1', 's2']]);
  for (const { status, retryAfter } of again) {
    if (status !== 200) expect([status, Number(retryAfter) > 0]).toEqual([503, true]);
  }
  expect(await holdfast.metric('holdfast_server_max_sessions')).toBe(SEATS);
});

test('who waits gets the seat of whoever leaves', async () => {
  const holdfast = await scene('{ size: 100, timeout: 30s }');
  const guests = Array.from({ length: CLIENTS }, () => new Guest());
  const seatedAt = new Map<string, Guest>();
  let left = 0;
  await Promise.all(
    guests.map(async (guest) => {
      const { status, server } = await guest.ask(holdfast.url, '/');
      expect([status, seatedAt.has(server)]).toEqual([200, false]);
      seatedAt.set(server, guest);
      expect(await guest.ask(holdfast.url, '/')).toMatchObject({ status: 200, server });
      seatedAt.delete(server);
      expect(await guest.ask(holdfast.url, '/leave')).toMatchObject({ status: 200, server });
      left += 1;
    }),
  );
  expect([left, seatedAt.size]).toEqual([CLIENTS, 0]);
});

test('seats that are taken are taken for a successor from its first client on', async () => {
  const yaml = await yamlOf('{ size: 0 }');
  const old = await runHoldfast(yaml);
  const guests = Array.from({ length: SEATS }, () => new Guest());
  for (const guest of guests) expect((await guest.ask(old.url, '/')).status).toBe(200);
  const statuses = new Set<number>();
  let isOver = false;
  const comers = Array.from({ length: 4 }, async () => {
    while (!isOver) statuses.add((await new Guest().ask(old.url, '/')).status);
  });
  const next = await runHoldfast(yaml, { args: ['--takeover', old.adminUrl] });
  expect(await old.exited()).toBe(0);
  isOver = true;
  await Promise.all(comers);
  expect([...statuses]).toEqual([503]);
  for (const guest of guests) expect((await guest.ask(next.url, '/')).status).toBe(200);
});

/** Over a connection of its own, to whoever listens now. */
function statusOf(url: string, cookie = ''): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, headers: { cookie } }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    }).on('error', reject);
  });
}

test('a log-in that is under way when another process takes over keeps its seat there', async () => {
  const doors: (() => void)[] = [];
  const seat = await httpBackend('seat', ({ url }, response) => {
    if (url === '/leave') response.setHeader('set-cookie', 'sid=; Path=/; Max-Age=0');
    else if (url !== '/look') response.setHeader('set-cookie', `sid=${url?.slice(1)}; Path=/`);
    if (url === '/slow') doors.push(() => response.end());
    else response.end();
  });
  const yaml = `
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  seats:
    sticky: { mode: learn, cookie: sid }
    health: off
    queue: { size: 0 }
    servers: [{ url: "${seat.url}", maxSessions: 1 }]
`;
  const old = await runHoldfast(yaml);
  const slow = statusOf(`${old.url}/slow`);
  await eventually(() => doors.length === 1);
  const next = await runHoldfast(yaml, { args: ['--takeover', old.adminUrl] });
  expect(await statusOf(`${next.url}/other`)).toBe(503);
  doors[0]?.();
  expect(await slow).toBe(200);
  expect(await statusOf(`${next.url}/other`)).toBe(503);
  expect(await old.exited()).toBe(0);
  expect(await statusOf(`${next.url}/look`, 'sid=slow')).toBe(200);
  expect(await statusOf(`${next.url}/other`)).toBe(503);
  expect(await statusOf(`${next.url}/leave`, 'sid=slow')).toBe(200);
  await eventually(async () => (await statusOf(`${next.url}/other`)) === 200);
});
