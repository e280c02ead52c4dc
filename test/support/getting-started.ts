// What docs/getting-started.md promises, held against what happens. Its ports are exchanged for free ones.

import { expect } from 'vitest';
import { freePort } from './free-port.ts';
import { commandsOf, follow, writeFiles } from './guide.ts';

const PORTS = ['3001', '3002', '8080', '9090'];
/** Making the folder and installing is done beforehand. */
const FIRST_COMMAND = 'node server.mjs a';

/** Follows the document in the folder; `holdfast` is how the command is called there. */
export async function expectGettingStarted(
  document: string,
  folder: string,
  holdfast: string,
): Promise<void> {
  let markdown = document;
  const admin = await freePort();
  for (const port of PORTS)
    markdown = markdown.replaceAll(port, String(port === '9090' ? admin : await freePort()));
  writeFiles(markdown, folder);
  const all = commandsOf(markdown);
  const commands = all.slice(all.findIndex((command) => command.startsWith(FIRST_COMMAND)));
  const said = await follow(
    [`export HOLDFAST_ADMIN_URL=http://127.0.0.1:${admin}`, ...commands],
    folder,
    holdfast,
  );
  const of = (begin: string): readonly string[] =>
    [...said].filter(([command]) => command.startsWith(begin)).flatMap(([, texts]) => texts);
  const visits = (person: string): string => of(`for visit in 1 2 3; do curl -s -b ${person}`).join();
  for (const [person, server] of [
    ['alice', 'a'],
    ['bob', 'b'],
  ] as const)
    expect(visits(person)).toBe(
      [1, 2, 3].map((visit) => `server ${server}, your visit number ${visit}\n`).join(''),
    );
  // without a cookie: by turns before the drain, all at b during it
  const [before, during] = of('for visit in 1 2 3; do curl -s http');
  expect([before?.includes('server a'), before?.match(/number 1\n/g)?.length]).toEqual([true, 3]);
  expect(during).toBe('server b, your visit number 1\n'.repeat(3));
  expect(of('curl -s -b alice')).toEqual([
    'server a, your visit number 4\n',
    'server b, your visit number 1\n',
  ]);
  expect(of('npx holdfast drain shop/a --wait').join()).toMatch(/exit status 3\n$/);
  expect(of('npx holdfast ready shop/a --wait').join()).toMatch(/^shop\/a: ready, up, /);
  expect(of('curl -s -b bob')).toEqual(['server a, your visit number 1\n']);
  expect(of('npx holdfast status --check').join()).toMatch(
    /^degraded: shop\/b down .* since .*\nexit status 1\n$/,
  );
  expect(of('npx holdfast events').join()).toMatch(/shop\/b down: /);
  expect(of('npx holdfast ready shop/b --wait').join()).toMatch(/^shop\/b: ready, up, /);
}
