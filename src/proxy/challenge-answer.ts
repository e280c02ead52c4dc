// What an authority is answered that asks over HTTP for a token of ours (RFC 8555 section 8.3). All else goes its usual way.

import { latin1 } from '../base/latin1.ts';
import type { ReplyContent } from '../exchange/reply-content.ts';
import type { RequestHead } from '../http1/message.ts';

const PLACE = '/.well-known/acme-challenge/';

/** Null: it is no such request, or the token is none of ours. */
export function challengeAnswer(
  buffer: Buffer,
  head: RequestHead,
  tokens: Readonly<Record<string, string>>,
): ReplyContent | null {
  if (head.method !== 'GET' && head.method !== 'HEAD') return null;
  const path = latin1(buffer, head.pathBegin, head.targetEnd);
  if (!path.startsWith(PLACE)) return null;
  const token = path.slice(PLACE.length);
  const answer = Object.hasOwn(tokens, token) ? tokens[token] : undefined;
  return answer === undefined ? null : { type: 'text/plain; charset=utf-8', body: answer };
}
