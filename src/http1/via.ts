// The Via field (RFC 9110 section 7.6.3): the gateways that a message has come through.
//
//   Via: 1.1 holdfast, HTTP/1.0 fred (a comment, with a comma)

import { Field, type RequestHead } from './message.ts';

/** So often may a request have come by already: balancers of one name in a row are no loop. */
export const ROUNDS_MAX = 4;

const HOP = /^(?:[^\s/]+\/)?\S+[ \t]+([^\s(]+)/;

/** Has the request come by here too often to be on its way anywhere? `name`: ours; null: nobody can tell. */
export function goesRound(buffer: Buffer, { lines }: RequestHead, name: string | null): boolean {
  if (name === null) return false;
  let rounds = 0;
  for (let index = 0; index < lines.count; index += 1) {
    if (lines.field[index] !== Field.via) continue;
    const value = buffer.toString(
      'latin1',
      lines.valueBegin[index] as number,
      lines.valueEnd[index] as number,
    );
    for (const hop of value.split(',')) if (HOP.exec(hop.trim())?.[1]?.toLowerCase() === name) rounds += 1;
  }
  return rounds >= ROUNDS_MAX;
}
