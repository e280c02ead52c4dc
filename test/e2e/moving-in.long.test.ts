// A site moves from HAProxy or nginx to Holdfast while its users are on it: whoever was logged in stays logged in, since
// the cookie of the balancer that was here before says where the session is (sticky.adopt). As docs/recipes has it.

import { afterAll, expect, test } from 'vitest';
import { type Demo, type DemoBackend, startDemo } from '../../demo/launch.ts';
import { Visitor } from '../demo/visitor.ts';
import { freePort } from '../support/free-port.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';
import { runHaproxy, runNginx } from '../support/other-balancer.ts';

const USERS = 12;
const ADDRESS = /^http:\/\//;

let shared: Promise<Demo> | null = null;
afterAll(async () => (await shared)?.stop());

interface Former {
  readonly program: 'haproxy' | 'nginx';
  run(program: string, backends: readonly DemoBackend[], port: number): Promise<void>;
  /** What stands under sticky. */
  readonly sticky: string;
}

const haproxy = (cookie: string): Former['run'] => {
  return (program, backends, port) => {
    const servers = backends.map(
      ({ name, url }) => `  server s-${name} ${url.replace(ADDRESS, '')} cookie s-${name}`,
    );
    const config = `listen shop\n  bind 127.0.0.1:${port}\n  balance roundrobin\n  cookie ${cookie}\n`;
    return runHaproxy(program, config + servers.join('\n'), port);
  };
};

const MAP = 'servers: { s-a: a, s-b: b, s-c: c }';
const FORMERS: Readonly<Record<string, Former>> = {
  'HAProxy, cookie insert': {
    program: 'haproxy',
    run: haproxy('SERVERID insert indirect nocache'),
    sticky: `mode: cookie-hash, adopt: [{ cookie: SERVERID, ${MAP} }]`,
  },
  'HAProxy, cookie insert with dates': {
    program: 'haproxy',
    run: haproxy('SERVERID insert indirect nocache maxidle 30m maxlife 8h'),
    sticky: `mode: cookie-hash, adopt: [{ cookie: SERVERID, ${MAP} }]`,
  },
  'HAProxy, cookie prefix': {
    program: 'haproxy',
    run: haproxy('connect.sid prefix nocache'),
    sticky: `mode: cookie-pin, adopt: [{ cookie: connect.sid, ${MAP}, separator: "~" }]`,
  },
  'HAProxy, cookie prefix, sessions learned': {
    program: 'haproxy',
    run: haproxy('connect.sid prefix nocache'),
    sticky: `mode: learn, cookie: connect.sid, adopt: [{ cookie: connect.sid, ${MAP}, separator: "~" }]`,
  },
  'nginx, a cookie of its own by map': {
    program: 'nginx',
    run: (program, backends, port) => {
      const lines = (write: (backend: DemoBackend, address: string) => string): string =>
        backends.map((backend) => write(backend, backend.url.replace(ADDRESS, ''))).join(' ');
      return runNginx(
        program,
        `upstream shop { ${lines((_, address) => `server ${address};`)} }
map $upstream_addr $route { ${lines(({ name }, address) => `${address} s-${name};`)} }
map $cookie_route $target { default shop; ${lines(({ name }, address) => `s-${name} ${address};`)} }
server {
  listen 127.0.0.1:${port};
  location / { proxy_pass http://$target; add_header Set-Cookie "route=$route; Path=/" always; }
}`,
        port,
      );
    },
    sticky: `mode: cookie-hash, adopt: [{ cookie: route, ${MAP} }]`,
  },
};

test.for(Object.entries(FORMERS))('%s: nobody is logged out', async ([, former], { skip }) => {
  const program = needs(former.program, skip);
  shared ??= startDemo({ architecture: 'memory', servers: 3, scryptCost: 2 });
  const demo = await shared;
  const port = await freePort();
  await former.run(program, demo.backends, port);
  const servers = demo.backends.map(({ name, url }) => `{ name: ${name}, url: "${url}" }`);
  const holdfast = await runHoldfast(`
threads: 2
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools: { shop: { sticky: { ${former.sticky} }, servers: [${servers.join(', ')}] } }
`);
  const users = Array.from({ length: USERS }, () => new Visitor());
  const raise = async (base: string): Promise<readonly unknown[]> => {
    const answers = await Promise.all(users.map((user) => user.post(`${base}/inc`)));
    return answers.map(({ status, body }) => [status, body.counter, (body as { server?: string }).server]);
  };
  for (const [index, user] of users.entries())
    await user.login(`http://127.0.0.1:${port}`, `user${index + 1}`);
  const before = await raise(`http://127.0.0.1:${port}`);
  const homes = before.map((answer) => (answer as readonly unknown[])[2]);
  expect(new Set(homes)).toEqual(new Set(['a', 'b', 'c']));
  // the old one serves on, as it does while the name leads to both
  for (const counter of [2, 3])
    expect(await raise(holdfast.url)).toEqual(homes.map((server) => [200, counter, server]));
  expect(await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'adopted' })).toBe(USERS);
  expect(await raise(`http://127.0.0.1:${port}`)).toEqual(homes.map((server) => [200, 4, server]));
});
