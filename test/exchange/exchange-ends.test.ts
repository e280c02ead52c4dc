// One exchange between played streams: waiting, tunnels, clients that go, takeovers.

import { describe, expect, test } from 'vitest';
import { Verdict } from '../../src/shared/control.ts';
import { Gauge, PoolCounter } from '../../src/shared/stripe.ts';
import { ExchangeScene } from '../support/exchange-scene.ts';

const GET = 'GET /x HTTP/1.1\r\nhost: shop\r\n\r\n';
const UPGRADE = 'GET /x HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const TWO = ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'];
const NOTHING_LEFT = { inFlight: 0, busy: 0, deadlines: 0, queued: 0, open: 0, endedTwice: 0 };

const cookieOf = (client: { setCookie: string }): string => client.setCookie.split(';')[0] ?? '';
const ask = (cookie: string): string => `GET /x HTTP/1.1\r\nhost: shop\r\ncookie: ${cookie}\r\n\r\n`;

const scene = (more = '', servers: readonly string[] = TWO): ExchangeScene =>
  new ExchangeScene(1, { more, servers });

describe('a log-out beside other requests of the session', () => {
  const STICKY = 'sticky: { mode: cookie-hash }';
  const END = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-holdfast-session: end\r\n\r\n';

  /** Sessions in the table, and how many of them are in use. */
  function sessions({ main: { table } }: ExchangeScene): readonly number[] {
    const entries = Array.from({ length: table.capacity }, (_, entry) => entry);
    const used = entries.filter((entry) => table.isUsed(entry) && !table.marks.isAlias(entry));
    return [used.length, used.filter((entry) => table.busy(entry) > 0).length];
  }

  function visit(world: ExchangeScene, cookie: string, head = OK): string {
    const client = world.client();
    world.begin(client, ask(cookie));
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, head, 'hello');
    expect(client.outcomes).toEqual(['whole']);
    return cookieOf(client);
  }

  test('one that is under way, one that waits for a retry and one that comes late begin none', () => {
    const world = scene(STICKY);
    const cookie = visit(world, 'none=yet');
    visit(world, cookie);
    world.begin(world.client(), ask(cookie));
    const open = world.last;
    open.user.onConnected(open);
    world.begin(world.client(), ask(cookie));
    const tried = world.last;
    expect(visit(world, cookie, END)).toBe('holdfast=');
    world.sendHead(open, OK, 'hello');
    tried.destroy();
    tried.user.onUnreachable('stream-refused');
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'hello');
    expect(visit(world, cookie)).toBe('');
    expect([sessions(world), world.left()]).toEqual([[0, 0], NOTHING_LEFT]);
  });

  test('the session that begins at the same place is in use for as long as its own request is', () => {
    const world = scene('sticky: { mode: address-hash }');
    visit(world, 'none=1');
    world.begin(world.client(), ask('none=1'));
    const former = world.last;
    former.user.onConnected(former);
    visit(world, 'none=1', END);
    world.begin(world.client(), ask('none=1'));
    const present = world.last;
    present.user.onConnected(present);
    expect(sessions(world)).toEqual([1, 1]);
    world.sendHead(former, OK, 'hello');
    expect(sessions(world)).toEqual([1, 1]);
    world.sendHead(present, OK, 'hello');
    expect([sessions(world), world.left()]).toEqual([[1, 0], NOTHING_LEFT]);
  });
});

describe('waiting for a server', () => {
  const ONE = ['a=http://127.0.0.1:1 maxConnections:1'];

  test('the next goes when one is done', () => {
    const world = scene('', ONE);
    const [first, second] = [world.client(), world.client()];
    world.begin(first, GET);
    world.begin(second, GET);
    expect([world.streams.length, world.left()['queued']]).toEqual([1, 1]);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'hello');
    expect(world.streams.length).toBe(2);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'world');
    expect([first.body.text, second.body.text, world.left()]).toEqual(['hello', 'world', NOTHING_LEFT]);
  });

  test('too long is a 503, and the place in the queue is free', () => {
    const world = scene('queue: { size: 1, timeout: 1s }', ONE);
    const [first, second] = [world.client(), world.client()];
    const running = world.begin(first, GET);
    world.begin(second, GET);
    world.pass(1001);
    expect([second.outcomes, world.left()['queued']]).toEqual([['queue-timeout'], 0]);
    running.abort();
    expect(world.left()).toEqual(NOTHING_LEFT);
  });

  test('a full queue is a 503 at once', () => {
    const world = scene('queue: { size: 0, timeout: 1s }', ONE);
    const second = world.client();
    world.begin(world.client(), GET);
    world.begin(second, GET);
    expect(second.outcomes).toEqual(['queue-full']);
    expect(world.own.poolCounter(world.plan.id, PoolCounter.requests)).toBe(2);
  });
});

describe('waiting for a place when one is free that is not at home', () => {
  /** A session; with requests under way at its home and at the other of two servers, which have one place each. */
  const crowded = (state: string) => {
    const servers = TWO.map((server) => `${server} maxConnections:1`);
    const world = scene(`health: off\nstate: ${state}\nsticky: { mode: cookie-pin }`, servers);
    const visitor = world.client();
    world.begin(visitor, GET);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'hello');
    const cookie = cookieOf(visitor);
    const home = world.last.slot;
    const atHome = world.begin(world.client(), ask(cookie));
    const elsewhere = world.begin(world.client(), GET);
    expect([atHome.slot, elsewhere.slot].toSorted()).toEqual([...world.plan.slots].toSorted());
    return { world, cookie, home, atHome, elsewhere, other: elsewhere.slot };
  };

  test('a session of a pool with shared state may be served there', () => {
    const { world, cookie, elsewhere, other } = crowded('shared');
    const waiting = world.begin(world.client(), ask(cookie));
    elsewhere.abort();
    expect(waiting.slot).toBe(other);
  });

  test('one that only its home has waits on, and who stands behind it is served', () => {
    const { world, cookie, home, atHome, elsewhere, other } = crowded('shared');
    world.main.control.setUnbacked(home, 1);
    const waiting = world.begin(world.client(), ask(cookie));
    const behind = world.begin(world.client(), GET);
    elsewhere.abort();
    expect([waiting.slot, behind.slot]).toEqual([-1, other]);
    atHome.abort();
    expect(waiting.slot).toBe(home);
  });

  test('one whose home is gone is served there at once', () => {
    const { world, cookie, home, elsewhere, other } = crowded('local');
    world.main.control.setVerdict(home, Verdict.down);
    const waiting = world.begin(world.client(), ask(cookie));
    expect(waiting.slot).toBe(-1);
    elsewhere.abort();
    expect(waiting.slot).toBe(other);
  });
});

test('requests of one new session that wait together go to one server, and hold one place each', () => {
  const world = scene('sticky: { mode: learn, cookie: sid }\nqueue: { whenDown: 5s }');
  const { slots } = world.plan;
  for (const slot of slots) world.main.control.setVerdict(slot, Verdict.down);
  const shown = 'GET /x HTTP/1.1\r\nhost: shop\r\ncookie: sid=mine\r\n\r\n';
  for (let number = 0; number < 4; number += 1) world.begin(world.client(), shown);
  expect(world.left()['queued']).toBe(4);
  for (const slot of slots) world.main.control.setVerdict(slot, Verdict.up);
  world.pass(100);
  const [home] = world.streams.map(({ slot }) => slot);
  expect(world.streams.map(({ slot }) => slot)).toEqual([home, home, home, home]);
  expect(Array.from(slots, (slot) => world.own.gauge(slot, Gauge.inFlight)).toSorted()).toEqual([0, 4]);
});

describe('a tunnel', () => {
  const open = (): { world: ExchangeScene; client: ReturnType<ExchangeScene['client']> } => {
    const world = scene();
    const client = world.client();
    client.early = Buffer.from('early');
    const exchange = world.begin(client, UPGRADE);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, SWITCH, 'hi');
    expect(exchange.response.tunnel.isOpen).toBe(true);
    return { world, client };
  };

  test('carries what either side sent ahead, and the rest', () => {
    const { world, client } = open();
    world.sendBody(world.last, ' there');
    expect([client.body.text, world.last.received.text.endsWith('\r\n\r\nearly')]).toEqual([
      'hi there',
      true,
    ]);
  });

  test('half closed by its server it is over in bounded time', () => {
    const { world, client } = open();
    world.last.user.onTunnelHalfClosed();
    expect(client.halvesEnded).toBe(1);
    world.pass(30_001);
    expect([client.outcomes, world.last.ends, world.left()]).toEqual([['whole'], ['finished'], NOTHING_LEFT]);
  });

  test('is over when both sides have closed', () => {
    const world = scene();
    const client = world.client();
    const exchange = world.begin(client, UPGRADE);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, SWITCH);
    exchange.response.tunnel.onClientEnd();
    expect(world.last.halvesEnded).toBe(1);
    world.last.user.onTunnelHalfClosed();
    expect([world.last.ends, world.left()]).toEqual([['finished'], NOTHING_LEFT]);
  });

  test('ends in order when its server vanishes', () => {
    const { world, client } = open();
    world.last.destroy();
    world.last.user.onServerClosed();
    expect([client.outcomes, world.left()]).toEqual([['whole'], NOTHING_LEFT]);
  });
});

describe('a client that goes', () => {
  test.each([
    ['while its server is connected', 0],
    ['while the server works', 1],
    ['while it is answered', 2],
  ])('%s: everything stops and is given back', (_when, steps) => {
    const world = scene();
    const exchange = world.begin(world.client(), GET);
    if (steps > 0) world.last.user.onConnected(world.last);
    if (steps > 1) world.sendHead(world.last, OK, 'he', false);
    exchange.abort();
    exchange.abort();
    expect([world.last.ends, world.left()]).toEqual([['destroyed'], NOTHING_LEFT]);
  });
});

test('during a takeover the client waits until the successor knows its session', () => {
  const world = scene('sticky: { mode: cookie-pin }');
  const client = world.client();
  world.retire();
  world.begin(client, GET);
  world.last.user.onConnected(world.last);
  world.sendHead(world.last, OK, 'hello');
  expect([client.isWithheld, client.setCookie !== '', world.asked.length]).toEqual([true, true, 1]);
  world.barrier?.successorKnows();
  expect(client.isWithheld).toBe(false);
});

test('where nobody takes over after all, everybody who waits for that goes on', () => {
  const world = scene('sticky: { mode: cookie-pin }');
  world.retire();
  const clients = [world.client(), world.client()];
  for (const client of clients) {
    world.begin(client, GET);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'hello');
  }
  expect([clients.map(({ isWithheld }) => isWithheld), world.asked.length]).toEqual([[true, true], 1]);
  world.barrier?.lift();
  expect(clients.map(({ isWithheld }) => isWithheld)).toEqual([false, false]);
});

describe('waiting while a reload comes', () => {
  const STICKY = 'health: off\nsticky: { mode: cookie-pin }\nqueue: { size: 9, timeout: 9s, whenDown: 9s }';
  const down = (world: ExchangeScene): void => {
    for (const slot of world.plan.slots) world.main.control.setVerdict(slot, Verdict.down);
  };

  test('a session whose home another balancer knew, and this one is told of now, goes there', () => {
    const other = scene(STICKY, ['c=http://127.0.0.1:3']);
    const visitor = other.client();
    other.begin(visitor, GET);
    other.last.user.onConnected(other.last);
    other.sendHead(other.last, OK, 'hello');

    const world = scene(STICKY, ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2']);
    down(world);
    const client = world.client();
    world.begin(client, ask(cookieOf(visitor)));
    expect(world.left()['queued']).toBe(1);
    const servers = ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2', 'c=http://127.0.0.1:3'];
    world.reload({ more: STICKY, servers });
    world.pass(1);
    expect(world.last.slot).toBe(world.plan.slots[2]);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'hello');
    expect([client.setCookie, world.left()]).toEqual(['', NOTHING_LEFT]);
  });

  test('one that the new revision would know by something else keeps what it began with', () => {
    const world = scene(STICKY, ['a=http://127.0.0.1:1']);
    down(world);
    const exchange = world.begin(world.client(), GET);
    const began = exchange.plan;
    world.reload({ more: 'health: off\nsticky: { mode: address-hash }', servers: TWO });
    expect([exchange.plan, exchange.plan === world.plan]).toEqual([began, false]);
    world.reload({ more: STICKY, servers: TWO });
    expect(exchange.plan).toBe(world.plan);
    exchange.abort();
    expect(world.left()).toEqual(NOTHING_LEFT);
  });
});
