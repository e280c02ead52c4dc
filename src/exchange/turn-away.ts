// A request that does not become an exchange, whatever it came by: counted, answered and logged.

import type { TurnClock } from '../base/clock.ts';
import type { FailureKind } from '../base/failure.ts';
import type { PoolPlan } from '../choose/plan.ts';
import type { RequestHead } from '../http1/message.ts';
import type { Stripe } from '../shared/stripe.ts';
import { type AccessLog, AccessRecord, type Way } from './access-log.ts';
import { countRefusal } from './accounts.ts';
import { clientAddressOf, type Peer } from './believed.ts';
import { fieldsOf, type ReplyContent } from './reply-content.ts';
import { requestIdOf } from './request-lines.ts';
import type { ExchangeServices } from './services.ts';

/** What it takes of a thread. */
export interface Doorkeeper extends Pick<ExchangeServices, 'ownReply' | 'isTrustedAddress'> {
  readonly own: Stripe;
  readonly clock: TurnClock;
  readonly accessLog: AccessLog;
}

export interface TurnedAway {
  readonly kind: FailureKind;
  readonly detail?: string;
  /** null: no pool is known. */
  readonly plan: PoolPlan | null;
  /** Instead of what is said of the kind. */
  readonly content?: ReplyContent;
}

/** `head`: an empty one where none could be read. `answer` writes the reply and returns its bytes. */
export function turnAway(
  thread: Doorkeeper,
  client: Peer & Way,
  buffer: Buffer,
  head: RequestHead,
  { kind, detail = '', plan, content }: TurnedAway,
  answer: (content: ReplyContent, requestId: string) => number,
): void {
  const { own, accessLog, clock, isTrustedAddress } = thread;
  countRefusal(own, kind, plan);
  const requestId = requestIdOf(buffer, head, client);
  const reply = content ?? thread.ownReply(kind, detail, fieldsOf(buffer, head), requestId, plan);
  const record = accessLog.draws()
    ? new AccessRecord(
        buffer,
        head,
        clientAddressOf(buffer, head, client, isTrustedAddress),
        '',
        clock.nowMs(),
        client,
      )
    : null;
  record?.turnedAway(kind, requestId);
  accessLog.write(record, answer(reply, requestId), plan, clock);
}
