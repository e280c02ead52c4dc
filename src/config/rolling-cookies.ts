// Cookies of applications that carry the session, or its sealed id, and have another value after each change or each answer: a
// poor name for a session, which a warning says.

import type { Remarks } from './remarks.ts';
import type { WrittenSticky } from './schema.ts';
import type { Path } from './tree.ts';

/** By the names that the makers give them. */
const ROLLING: readonly (readonly [RegExp, string])[] = [
  [/^session(\.sig)?$/, 'Flask and cookie-session'],
  [/^express:sess(\.sig)?$/, 'cookie-session'],
  [/^koa[.:]sess(\.sig)?$/, 'koa-session'],
  [/^_\w+_session$/, 'Rails'],
  [/^rack\.session$/, 'Rack'],
  [/^laravel_session$/, 'Laravel'],
  [/^PLAY_SESSION$/, 'Play'],
  [/^(__Secure-)?(next-auth|authjs)\.session-token$/, 'Auth.js'],
];

/** Warns of such cookies as what the balancer is to know sessions by. */
export function checkRolling(at: Path, { cookie, from }: WrittenSticky, remarks: Remarks): void {
  const involves = [[...at, 'mode']];
  const look = (name: string | null, path: Path): void => {
    const maker = ROLLING.find(([pattern]) => name !== null && pattern.test(name))?.[1];
    if (maker === undefined) return;
    const message = `"${name}" is the cookie of ${maker}, whose value changes again and again: each one has to be learned, and after a restart or at another balancer nobody knows it; use mode cookie-hash without "cookie", so that the balancer sets its own`;
    remarks.warning(path, message, involves);
  };
  look(cookie, [...at, 'cookie']);
  from?.forEach((source, index) => {
    look(source.cookie, [...at, 'from', index, 'cookie']);
  });
}
