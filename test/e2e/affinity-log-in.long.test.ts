// A real application keeps its log-ins behind the balancer: four Express servers with sessions in their own memory,
// one user after another logs in with a cookie jar and counts up.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { type Demo, startDemo } from '../../demo/launch.ts';
import { DEMO_PASSWORD } from '../../demo/users.ts';
import { Visitor } from '../demo/visitor.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';
import { headersFor, STICKY_MODES, type StickyMode, stickyYaml } from '../support/sticky-pools.ts';

const USERS = 6;
const COUNTS = 5;
const NONE: StickyMode = { name: 'none', sticky: 'none' };
/** The demo application knows cookies only. */
const MODES = STICKY_MODES.filter(({ header }) => header !== 'learned');

async function demoBehindHoldfast(): Promise<{ demo: Demo; holdfast: Holdfast }> {
  const demo = await startDemo({ servers: 4, flags: ['--login-failures', '1000'] });
  onTestFinished(() => demo.stop());
  const yaml = stickyYaml([...MODES, NONE], demo.backends, ['policy: least-sessions']);
  return { demo, holdfast: await runInside(yaml, { threads: 2 }) };
}

test('each sticky mode keeps users of a real application logged in; without, they are logged out at once', async () => {
  const { holdfast } = await demoBehindHoldfast();
  for (const mode of MODES) {
    const homes = new Set<unknown>();
    for (let number = 0; number < USERS; number += 1) {
      const visitor = new Visitor();
      const headers = headersFor(mode, `user${number}`);
      const credentials = { user: `user${number + 1}`, password: DEMO_PASSWORD };
      const login = await visitor.post(`${holdfast.url}/login`, credentials, headers);
      const { server } = login.body as { server: string };
      const answers = [];
      for (let count = 1; count <= COUNTS; count += 1) {
        const { status, body } = await visitor.post(`${holdfast.url}/inc`, {}, headers);
        answers.push([status, body.counter, (body as { server?: string }).server]);
      }
      const wanted = Array.from({ length: COUNTS }, (_, index) => [200, index + 1, server]);
      expect([mode.name, answers]).toEqual([mode.name, wanted]);
      expect((await visitor.post(`${holdfast.url}/logout`, {}, headers)).status).toBe(200);
      expect((await visitor.get(`${holdfast.url}/whoami`, headers)).status).toBe(401);
      homes.add(server);
    }
    // an address is one key; everybody else is spread
    expect(homes.size).toBeGreaterThan(mode.name === 'address-hash' ? 0 : 1);
  }
  const visitor = new Visitor();
  const headers = { host: 'none.test' };
  await visitor.post(`${holdfast.url}/login`, { user: 'alice', password: DEMO_PASSWORD }, headers);
  const statuses: number[] = [];
  for (let count = 0; count < 16; count += 1) {
    statuses.push((await visitor.get(`${holdfast.url}/whoami`, headers)).status);
  }
  // each goes to any of four servers, three of which do not know her
  expect(statuses).toContain(401);
});

test("the second request after a log-in reaches the server that made connect.sid, with curl's cookie jar", async ({
  skip,
}) => {
  const program = needs('curl', skip);
  const { holdfast } = await demoBehindHoldfast();
  const mode = MODES.find(({ name }) => name === 'application-cookie')!;
  const homes = new Set<string>();
  for (let number = 1; number <= 8; number += 1) {
    const jar = `${holdfast.directory}/jar${number}`;
    const curl = (...args: string[]): Promise<string> =>
      run(program, '-s', '-c', jar, '-b', jar, '-H', `host: ${mode.name}.test`, ...args);
    const credentials = `user=user${number}&password=${DEMO_PASSWORD}`;
    const login = await curl('-H', 'accept: application/json', '-d', credentials, `${holdfast.url}/login`);
    const { server } = JSON.parse(login) as { server: string };
    const second = JSON.parse(await curl(`${holdfast.url}/whoami`)) as { server: string; user: string };
    expect([second.user, second.server]).toEqual([`user${number}`, server]);
    homes.add(server);
  }
  expect([...homes].sort()).toEqual(['a', 'b', 'c', 'd']);
});

async function run(command: string, ...args: string[]): Promise<string> {
  const child = execFile(command, args);
  let output = '';
  child.stdout?.on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} exited with ${code}`);
  return output;
}
