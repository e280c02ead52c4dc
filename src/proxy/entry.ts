// What becomes of a request whose head was parsed, whatever version it came in: an exchange in a pool, or a reply of ours.
//
//   token of an authority ── redirected to https ── no pool, loop, rate ── else: the pool

import { admit, refused } from '../exchange/admission.ts';
import type { ClientStream } from '../exchange/streams.ts';
import type { TurnedAway } from '../exchange/turn-away.ts';
import type { RequestHead } from '../http1/message.ts';
import { challengeAnswer } from './challenge-answer.ts';
import type { ConnectionListener, ConnectionServices } from './connection-services.ts';
import type { ReplyMore } from './replies.ts';
import { secureUrl } from './secure-url.ts';

/** Of the request that had no pool last, valid until the next is asked about. */
export let answer: TurnedAway & ReplyMore = refused;

/** The pool, or null and the reply in `answer`. */
export function enter(
  thread: ConnectionServices,
  { config, authority }: ConnectionListener,
  buffer: Buffer,
  head: RequestHead,
  client: ClientStream,
): ReturnType<typeof admit> {
  const { tokens } = thread;
  const content = tokens === null ? null : challengeAnswer(buffer, head, tokens);
  if (content !== null) answer = { kind: 'acme-challenge', plan: null, content };
  else if (config.redirectToHttps)
    answer = {
      kind: 'redirected',
      plan: null,
      location: secureUrl(buffer, head, authority, config.redirectPort ?? thread.httpsPort),
    };
  else {
    answer = refused;
    return admit(thread, buffer, head, client, config.address, thread.clock.nowMs());
  }
  return null;
}
