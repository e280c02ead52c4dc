import { createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AdminServer, startAdmin } from '../../src/admin/server.ts';
import { Source } from './fixture.ts';

let source: Source;
let admin: AdminServer;

async function start(host = '127.0.0.1'): Promise<AdminServer> {
  const started = await startAdmin({ host, port: 0, token: '', source });
  if (started.kind === 'failed') throw new Error(started.message);
  return started;
}

beforeEach(async () => {
  source = new Source();
  admin = await start();
});
afterEach(() => admin.close());

const get = (path: string, init?: RequestInit): Promise<Response> => fetch(`${admin.url}${path}`, init);

describe('events', () => {
  /** Reads the stream until `count` events have come. */
  async function read(response: Response, count: number): Promise<{ event: string; data: unknown }[]> {
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const events = text.split('\n\n').slice(0, -1);
      if (events.length >= count || reader === undefined) {
        await reader?.cancel();
        return events.map((block) => {
          const lines = block.split('\n');
          const field = (name: string): string =>
            lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
          return { event: field('event'), data: JSON.parse(field('data')) };
        });
      }
      const { value, done } = await reader.read();
      if (done) throw new Error(`the stream ended after ${text}`);
      text += value;
    }
  }

  test('a status at once and each second, a change when it happens', async () => {
    const response = await get('/api/events');
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const beginMs = performance.now();
    const reading = read(response, 3);
    while (source.listeners.size === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    setTimeout(() => {
      for (const listener of source.listeners) listener({ type: 'health', server: 'a', to: 'down' });
    }, 100);
    const events = await reading;
    expect(events.map(({ event }) => event)).toEqual(['status', 'change', 'status']);
    expect(events[1]?.data).toEqual({ type: 'health', server: 'a', to: 'down' });
    expect(events[0]?.data).toMatchObject({ version: '0.1.0' });
    // The second status comes a second after the first, which may have taken a while itself.
    expect(performance.now() - beginMs).toBeGreaterThan(500);
  });

  test('a reader that goes away is forgotten', async () => {
    const abort = new AbortController();
    const response = await get('/api/events', { signal: abort.signal });
    await response.body?.getReader().read();
    expect(source.listeners.size).toBe(1);
    abort.abort();
    const endMs = performance.now() + 3_000;
    while (source.listeners.size > 0 && performance.now() < endMs)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(source.listeners.size).toBe(0);
  });

  test('no more than 64 at once, which share a status', async () => {
    let asked = 0;
    const status = source.status.bind(source);
    source.status = () => {
      asked += 1;
      return status();
    };
    const aborts = Array.from({ length: 64 }, () => new AbortController());
    const streams = await Promise.all(aborts.map(({ signal }) => get('/api/events', { signal })));
    await Promise.all(streams.map((stream) => stream.body?.getReader().read()));
    const refused = await get('/api/events');
    expect(refused.status).toBe(503);
    expect(await refused.json()).toEqual({
      error: { code: 'too-many-streams', message: 'too many event streams' },
    });
    expect(asked).toBeLessThan(64);
    for (const abort of aborts) abort.abort();
  });

  test('closing the server ends open streams', async () => {
    const response = await get('/api/events');
    await response.body?.getReader().read();
    const beginMs = performance.now();
    await admin.close();
    expect(performance.now() - beginMs).toBeLessThan(500);
  });
});

describe('listening', () => {
  test('a taken port is a failure in words', async () => {
    const taken = await startAdmin({ host: '127.0.0.1', port: admin.port, token: '', source });
    expect(taken).toEqual({
      kind: 'failed',
      code: 'EADDRINUSE',
      message: `admin cannot listen on 127.0.0.1:${admin.port}: another program listens there`,
    });
  });

  test('an address of another machine too', async () => {
    const failed = await startAdmin({ host: '192.0.2.1', port: 0, token: '', source });
    expect(failed).toMatchObject({
      kind: 'failed',
      message: 'admin cannot listen on 192.0.2.1:0: this machine does not have that address',
    });
  });

  test('IPv6 addresses are written with brackets', async ({ skip }) => {
    const probe = createServer();
    const hasIpv6 = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(0, '::1', () => resolve(true));
    });
    probe.close();
    if (hasIpv6 !== true) skip('this machine has no IPv6 loopback');
    const six = await start('[::1]');
    expect(six.url).toBe(`http://[::1]:${six.port}`);
    await six.close();
  });
});
