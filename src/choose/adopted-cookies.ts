// The cookie of the balancer that was here before (sticky.adopt): which of our servers it names. It is believed when a
// client shows no session of ours; anybody can write one, as it was before.
//
//   SERVERID=s1|Z0dR4|Z0dR4     the value names the server; what follows a | are HAProxy's dates
//   io=s1~4f2a                  with a separator: what stands before it names the server, and is taken away, so that the
//                               application sees the io=4f2a that it has set
//
// What is taken away is moved before the name as blanks, in the request's bytes: nothing else moves, nothing is copied.

import type { ServerConfig, StickyConfig } from '../config/model.ts';
import { beginsWith, EQUALS, skipBlank } from '../http1/bytes.ts';
import { CookieRange, nextCookie } from '../http1/cookies.ts';
import { Field, type FieldLines } from '../http1/message.ts';

const BAR = 0x7c;
const BLANK = 0x20;

/** A cookie of the former balancer, for the servers of one revision. */
export interface AdoptedCookie {
  readonly name: Uint8Array;
  /** Between the server's name and the application's value; empty: the whole value is the former balancer's. */
  readonly separator: Uint8Array;
  /** What its values call our servers, by their place in the configuration. */
  readonly servers: readonly { readonly value: Uint8Array; readonly index: number }[];
}

const range = new CookieRange();

/** Without a map its values are the names of our servers. */
export function adoptedCookies(
  { adopt }: StickyConfig,
  servers: readonly ServerConfig[],
): readonly AdoptedCookie[] {
  return (adopt ?? []).map((one) => {
    const named = Object.entries(one.servers);
    const values = named.length > 0 ? named : servers.map(({ name }) => [name, name] as const);
    return {
      name: Buffer.from(one.cookie, 'latin1'),
      separator: Buffer.from(one.separator ?? '', 'latin1'),
      servers: values.flatMap(([value, name]) => {
        const index = servers.findIndex((server) => server.name === name);
        return index === -1 ? [] : [{ value: Buffer.from(value, 'latin1'), index }];
      }),
    };
  });
}

/**
 * Index of the server that the first of the cookies names, -1 for none. Takes the prefixes of all of them away. No
 * allocation.
 */
export function readAdopted(cookies: readonly AdoptedCookie[], buffer: Buffer, lines: FieldLines): number {
  let found = -1;
  for (let which = 0; which < cookies.length; which += 1) {
    const cookie = cookies[which] as AdoptedCookie;
    for (let line = 0; line < lines.count; line += 1) {
      if (lines.field[line] !== Field.cookie) continue;
      const end = lines.valueEnd[line] as number;
      let at = nextCookie(buffer, lines.valueBegin[line] as number, end, cookie.name, range);
      for (; at !== -1; at = nextCookie(buffer, at, end, cookie.name, range)) {
        const index = takeServer(cookie, buffer);
        if (found === -1) found = index;
      }
    }
  }
  return found;
}

/** Of the cookie in `range`. */
function takeServer({ name, separator, servers }: AdoptedCookie, buffer: Buffer): number {
  const { valueBegin, valueEnd } = range;
  for (let at = 0; at < servers.length; at += 1) {
    const { value, index } = servers[at] as AdoptedCookie['servers'][number];
    const end = valueBegin + value.length;
    if (!beginsWith(value, buffer, valueBegin, valueEnd)) continue;
    if (separator.length > 0) {
      if (!beginsWith(separator, buffer, end, valueEnd)) continue;
      takeAway(name, buffer, valueBegin, end + separator.length);
    } else if (end !== valueEnd && buffer[end] !== BAR) continue;
    return index;
  }
  return -1;
}

/** begin..end of the value of the cookie goes: its name moves up to the rest. */
function takeAway(name: Uint8Array, buffer: Buffer, begin: number, end: number): void {
  let equals = begin - 1;
  while (buffer[equals] !== EQUALS) equals -= 1;
  let nameEnd = equals;
  while (skipBlank(buffer, nameEnd - 1, nameEnd) === nameEnd) nameEnd -= 1;
  const nameBegin = nameEnd - name.length;
  buffer.copyWithin(nameBegin + end - begin, nameBegin, begin);
  buffer.fill(BLANK, nameBegin, nameBegin + end - begin);
}
