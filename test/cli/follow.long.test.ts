// `events --follow` goes on with the process that takes the balancer's place, and ends when nobody does.

import { expect, test } from 'vitest';
import { AdminClient } from '../../src/cli/admin-client.ts';
import { followEvents } from '../../src/cli/follow.ts';
import { httpBackend } from '../support/backend.ts';
import { command, startCommand } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { changeServer, runHoldfast } from '../support/holdfast.ts';

const yaml = (backend: string, admin: string): string => `
listen: 127.0.0.1:0
admin: { address: "${admin}" }
threads: 1
pools:
  shop:
    health: off
    servers: [{ name: a, url: "${backend}" }]
`;

test('over a takeover and a restart: every event of each process, each once', async () => {
  const { url } = await httpBackend('a');
  const admin = `127.0.0.1:${await freePort()}`;
  const first = await runHoldfast(yaml(url, admin));
  const following = startCommand(['events', '--follow', '--admin', admin]);
  const seen = (): string[] =>
    following
      .out()
      .split('\n')
      .filter((line) => line.includes(' weight '))
      .map((line) => line.replace(/^.* (weight \d+).*$/, '$1'));
  const change = async (weight: number): Promise<void> => {
    await changeServer(first, 'shop/a', { weight });
    await eventually(() => seen().includes(`weight ${weight}`), {
      what: () => following.out() + following.err(),
    });
  };
  await change(2);
  await change(3);
  const second = await runHoldfast(yaml(url, admin), { args: ['--takeover'] });
  expect(await first.exited()).toBe(0);
  await change(4);
  expect(await second.stop()).toBe(0);
  const third = await runHoldfast(yaml(url, admin));
  await change(5);
  expect(seen()).toEqual(['weight 2', 'weight 3', 'weight 4', 'weight 5']);
  expect(third.child.exitCode).toBe(null);
}, 120_000);

test('who stays away ends it, with why', async () => {
  const { url } = await httpBackend('a');
  const holdfast = await runHoldfast(yaml(url, '127.0.0.1:0'));
  let heard = 0;
  const following = followEvents(
    new AdminClient({ admin: holdfast.adminUrl, token: '' }),
    () => {
      heard += 1;
    },
    500,
  ).catch((error: Error) => error.message);
  await changeServer(holdfast, 'shop/a', { weight: 2 });
  await eventually(() => heard > 0);
  holdfast.child.kill('SIGKILL');
  expect(await following).toMatch(
    /^GET http:\S+\/api\/events: nothing listens there; is the balancer running/,
  );
});

test('where it is refused at once it says why, in the words of the balancer', async () => {
  const full = await httpBackend('full', (_request, response) => {
    response.writeHead(503, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ error: { code: 'too-many-streams', message: 'too many event streams\u001b[2J' } }),
    );
  });
  expect(await command(['events', '--follow', '--admin', full.url])).toEqual({
    status: 1,
    out: '',
    err: 'too many event streams\\x1b[2J\n',
  });
});
