// A server that answers before it has the whole request, and then resets the connection: its answer reaches the client.

import { expect, test } from 'vitest';
import { earlyResponder, uploadUntilAnswered } from '../support/early-answer.ts';
import { eventually } from '../support/eventually.ts';
import { embed } from './embedded.ts';

const REPLY = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\n';

test.each([
  ['whole', 'too large', /^HTTP\/1\.1 413 [\s\S]*too large/],
  ['half', 'too', /^$|^HTTP\/1\.1 413 [\s\S]*too$/],
])('an answer that is %s', async (_what, body, expected) => {
  const backend = await earlyResponder(REPLY + body);
  const pool = { health: 'off', passive: 'off', retry: { attempts: 0 }, servers: [backend.url] };
  const { port, balancer } = await embed({ pools: { web: pool } });
  for (let round = 0; round < 20; round += 1)
    expect((await uploadUntilAnswered(port)).text).toMatch(expected);
  const server = () => balancer.status().pools[0]?.servers[0];
  await eventually(() => server()?.inFlight === 0 && server()?.connections.active === 0);
  expect(server()?.connections.idle).toBe(0);
});
