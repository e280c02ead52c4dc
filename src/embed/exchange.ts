// An exchange of an embedded balancer: the program's, whose deadlines and turns in the queue are guarded like everything
// else that calls it.

import { Exchange } from '../exchange/exchange.ts';
import { ExchangeDeadline } from '../exchange/exchange-deadline.ts';
import { NodeClient } from './node-client.ts';

export class EmbeddedExchange extends Exchange {
  override readonly deadline: ExchangeDeadline = new GuardedDeadline(this);

  /** Whose request it is; null between exchanges. */
  get nodeClient(): NodeClient | null {
    return this.client instanceof NodeClient ? this.client : null;
  }

  override retryFromQueue(nowMs: number): void {
    this.nodeClient?.guard.run(() => super.retryFromQueue(nowMs));
  }
}

class GuardedDeadline extends ExchangeDeadline {
  readonly #guarded: EmbeddedExchange;

  constructor(exchange: EmbeddedExchange) {
    super(exchange);
    this.#guarded = exchange;
  }

  override onDeadline(nowMs: number): void {
    this.#guarded.nodeClient?.guard.run(() => super.onDeadline(nowMs));
  }
}
