// What calls an exchange back does so through src/embed/guard.ts. The others are few, and each has its reason.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOM = join(import.meta.dirname, '../../src/embed');
const CALLBACK =
  /\.(?:on|once|addListener|prependListener)\(['"a-z]|setImmediate\(|nextTick\(|(?:system|running)Scheduler\.after\(/;

/** By file: how many listeners and timers of their own, and why nothing that a peer sends can make them throw. */
const OWN: Readonly<Record<string, readonly [count: number, why: string]>> = {
  'balancer.ts': [1, 'the grace of close'],
  'clients.ts': [1, 'counts the connection that closed; exchanges hear of it through their guards'],
  'declined-upgrade.ts': [4, 'ends the connection of an answer'],
  'guard.ts': [4, 'is the guard'],
  'intake.ts': [1, 'a request that waits for its turn, whose handler catches all'],
  'replies.ts': [5, 'ends the connection of a reply'],
  'server-agent.ts': [4, 'counts connections, and hands their last words to node:http'],
};

test('every listener and timer of the embedded form is guarded, or is one of a few', () => {
  const found = readdirSync(ROOM).flatMap((name) => {
    const lines = readFileSync(join(ROOM, name), 'utf8').split('\n');
    const own = lines.filter(
      (line) =>
        CALLBACK.test(line) && !/guard\.(?:on|once)\(/.test(line) && !/^\s*(?:\/\/|\*|\/\*)/.test(line),
    );
    return own.length === 0 ? [] : [[name, own.length] as const];
  });
  expect(Object.fromEntries(found)).toEqual(
    Object.fromEntries(Object.entries(OWN).map(([name, [count]]) => [name, count])),
  );
});
