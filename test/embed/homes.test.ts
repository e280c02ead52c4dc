// A session stays where it is at home while its home lives, whatever the home answers once, and waits for a home or an only
// server that restarts.

import { expect, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { answer, type Script, scriptedBackend } from '../support/scripted-backend.ts';
import { cookieOf, embed } from './embedded.ts';

const TROUBLES: Readonly<Record<string, Script>> = {
  '/nonsense': (heard) => heard.finish('this is no response\r\n\r\n'),
  '/closed': ({ socket }) => void socket.destroy(),
  '/reset': ({ socket }) => void socket.resetAndDestroy(),
  '/cut': ({ socket }) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
  '/silent': () => undefined,
  '/502': (heard) => heard.finish('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'),
  '/503': (heard) => heard.finish('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n'),
  '/504': (heard) => heard.finish('HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n'),
};

test.each(['cookie-pin', 'cookie-hash'])(
  'no answer of a living home moves its session (%s)',
  async (mode) => {
    const servers = await Promise.all(
      ['a', 'b', 'c'].map((name) => scriptedBackend({ ...TROUBLES, '*': answer(name) })),
    );
    const { url } = await embed({
      pools: {
        web: {
          health: 'off',
          sticky: { mode },
          timeouts: { response: '100ms' },
          servers: servers.map((server) => server.url),
        },
      },
    });
    const first = await fetch(url);
    const cookie = cookieOf(first);
    const home = await first.text();
    for (const target of Object.keys(TROUBLES)) {
      for (let count = 0; count < 3; count += 1)
        await fetch(`${url}${target}`, { headers: { cookie } })
          .then((response) => response.text())
          .catch(() => '');
      const again = await fetch(url, { headers: { cookie } });
      expect([target, await again.text(), cookieOf(again)]).toEqual([target, home, '']);
    }
  },
);

test('who is at home on a server that restarts waits for it, and so does everybody for the only one', async () => {
  const first = await scriptedBackend({ '*': answer('first') });
  const { url, balancer } = await embed({
    pools: { web: { health: 'off', sticky: { mode: 'cookie-pin' }, servers: [first.url] } },
  });
  const cookie = cookieOf(await fetch(url));
  expect(cookie).not.toBe('');
  await first.close();
  const waiting = [fetch(url), fetch(url, { headers: { cookie } })];
  await eventually(async () =>
    (await balancer.metrics()).body.includes('queued_requests_total{pool="web"} 2'),
  );
  await scriptedBackend({ '*': answer('second') }, first.port);
  const texts = await Promise.all(waiting.map(async (response) => (await response).text()));
  expect(texts).toEqual(['second', 'second']);
});

test('queue.whenDown bounds the wait', async () => {
  const gone = await tcpBackend(() => undefined);
  await gone.close();
  const { url, balancer } = await embed({
    pools: { web: { health: 'off', queue: { whenDown: '200ms' }, servers: [gone.url] } },
  });
  const { status, headers } = await fetch(url);
  expect([status, headers.get('x-holdfast-error')]).toEqual([502, 'connect-failed']);
  expect(balancer.status().pools[0]?.servers[0]?.inFlight).toBe(0);
});
