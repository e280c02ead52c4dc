// Whether a request whose head was parsed may become an exchange, and in which pool.

import type { FailureKind } from '../base/failure.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { isHost, type Router } from '../choose/route.ts';
import type { RequestHead } from '../http1/message.ts';
import { goesRound } from '../http1/via.ts';
import { clientAddressOf, type Peer } from './believed.ts';
import type { ClientLimits } from './client-limits.ts';
import type { TlsFacts } from './tls-facts.ts';

/** What decides it. */
export interface Gate {
  readonly router: Router;
  readonly limits: ClientLimits;
  /** Our name in Via; null: none. */
  readonly via: string | null;
  readonly isTrustedAddress: (address: string) => boolean;
}

/** Why a request was refused, and to which pool it would have gone (null: none is known); of the last one, valid until the next is asked about. */
export const refused: { kind: FailureKind; plan: PoolPlan | null; retryAfterSeconds: number } = {
  kind: 'no-route',
  plan: null,
  retryAfterSeconds: 1,
};

/** Absent: it is not known how it came. */
interface Entrant extends Peer {
  readonly tls?: TlsFacts | null;
}

function refuse(kind: FailureKind, plan: PoolPlan | null, retryAfterSeconds = 1): null {
  refused.kind = kind;
  refused.plan = plan;
  refused.retryAfterSeconds = retryAfterSeconds;
  return null;
}

/**
 * Browsers send to every host of a certificate on one connection of HTTP/2, opened for the first: for that one there may have been
 * no certificate to show, for this one there may be (RFC 9110 section 15.5.20).
 */
function isMisdirected(buffer: Buffer, head: RequestHead, { tls }: Entrant): boolean {
  if (!tls?.client || tls.serverName === '') return false;
  return !isHost(buffer, head, tls.serverName);
}

/** The pool, or null and the reason in `refused`. `listener`: address of the listener as configured. */
export function admit(
  gate: Gate,
  buffer: Buffer,
  head: RequestHead,
  peer: Entrant,
  listener: string,
  nowMs: number,
): PoolPlan | null {
  const { router, limits, isTrustedAddress } = gate;
  const plan = router.route(buffer, head);
  if (plan === null) return refuse('no-route', null);
  if (router.needsCertificate && peer.tls?.client?.verify !== 'good')
    return refuse(isMisdirected(buffer, head, peer) ? 'misdirected' : 'certificate-required', plan);
  if (head.maxForwards === 0) return refuse('max-forwards', plan);
  if (goesRound(buffer, head, gate.via)) return refuse('loop-detected', plan);
  if (!limits.hasRates) return plan;
  const address = (): string => clientAddressOf(buffer, head, peer, isTrustedAddress);
  const waitMs = limits.rateOf(router.matched, listener)?.take(buffer, head, address, nowMs) ?? 0;
  return waitMs > 0 ? refuse('too-many-requests', plan, Math.ceil(waitMs / 1000)) : plan;
}
