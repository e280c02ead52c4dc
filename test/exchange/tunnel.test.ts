// A tunnel between played streams: how long it lives without a word, and how it ends.

import { describe, expect, test } from 'vitest';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { ExchangeScene } from '../support/exchange-scene.ts';
import type { FakeClient } from '../support/fake-streams.ts';

const UPGRADE = 'GET /x HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const NOTHING_LEFT = { inFlight: 0, busy: 0, deadlines: 0, queued: 0, open: 0, endedTwice: 0 };
/** timeouts.tunnel as it is by default. */
const HOUR_MS = 3_600_000;

function open(): { world: ExchangeScene; client: FakeClient; exchange: Exchange } {
  const world = new ExchangeScene(1, { servers: ['a=http://127.0.0.1:1'] });
  const client = world.client();
  const exchange = world.begin(client, UPGRADE);
  world.last.user.onConnected(world.last);
  world.sendHead(world.last, SWITCH);
  return { world, client, exchange };
}

const fromClient = ({ world, client, exchange }: ReturnType<typeof open>, text: string): void => {
  exchange.response.tunnel.fromClient(client.memory.hold(text), client);
  world.clock.turn();
};

describe('an open tunnel', () => {
  test('may be silent for its timeout, counted from the last byte of either side', () => {
    const tunnel = open();
    const { world, client } = tunnel;
    world.pass(HOUR_MS - 1);
    world.sendBody(world.last, 'a');
    world.pass(HOUR_MS - 1);
    fromClient(tunnel, 'b');
    world.pass(HOUR_MS - 1);
    expect([client.outcomes, client.body.text]).toEqual([[], 'a']);
    expect(world.last.received.text.endsWith('\r\n\r\nb')).toBe(true);
    world.pass(1);
    expect([client.outcomes, world.last.ends, world.left()]).toEqual([['whole'], ['finished'], NOTHING_LEFT]);
  });

  test('pauses whoever sends to one that does not read, and nobody else', () => {
    const tunnel = open();
    const { world, client } = tunnel;
    world.sendBody(world.last, 'a');
    fromClient(tunnel, 'b');
    expect([world.last.isPaused, client.isPaused]).toEqual([false, false]);
    client.isFull = true;
    world.sendBody(world.last, 'a');
    expect([world.last.isPaused, client.isPaused]).toEqual([true, false]);
    client.isFull = false;
    world.last.isPaused = false;
    world.last.isFull = true;
    fromClient(tunnel, 'b');
    expect([world.last.isPaused, client.isPaused]).toEqual([false, true]);
  });

  test('goes on reading its client, which had been paused', () => {
    const world = new ExchangeScene(1, { servers: ['a=http://127.0.0.1:1'] });
    const client = world.client();
    world.begin(client, UPGRADE);
    world.last.user.onConnected(world.last);
    client.isPaused = true;
    world.sendHead(world.last, SWITCH);
    expect(client.isPaused).toBe(false);
  });
});

describe('a half-closed tunnel', () => {
  test.each([
    ['its server', ({ world }: ReturnType<typeof open>) => world.last.user.onTunnelHalfClosed()],
    ['its client', ({ exchange }: ReturnType<typeof open>) => exchange.response.tunnel.onClientEnd()],
  ])('closed by %s ends after five seconds of silence', (_, close) => {
    const tunnel = open();
    const { world, client } = tunnel;
    close(tunnel);
    world.pass(4999);
    fromClient(tunnel, 'b');
    world.pass(4999);
    expect(client.outcomes).toEqual([]);
    world.pass(1);
    expect([client.outcomes, world.left()]).toEqual([['whole'], NOTHING_LEFT]);
  });

  test('ends after thirty seconds whatever still moves', () => {
    const tunnel = open();
    const { world, client } = tunnel;
    world.last.user.onTunnelHalfClosed();
    for (let second = 0; second < 29; second += 1) {
      world.pass(1000);
      fromClient(tunnel, 'b');
    }
    world.pass(999);
    expect(client.outcomes).toEqual([]);
    world.pass(1);
    expect([client.outcomes, world.left()]).toEqual([['whole'], NOTHING_LEFT]);
  });

  test('leaves nothing to the next that the same exchange carries', () => {
    const { world, exchange } = open();
    world.last.user.onTunnelHalfClosed();
    exchange.response.tunnel.onClientEnd();
    const next = world.client();
    expect(world.begin(next, UPGRADE)).toBe(exchange);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, SWITCH);
    world.pass(HOUR_MS - 1);
    expect(next.outcomes).toEqual([]);
    world.last.user.onTunnelHalfClosed();
    expect([next.outcomes, next.halvesEnded]).toEqual([[], 1]);
  });
});
