// One order of a certificate for one name, from nothing or from where it was left to what the authority gives.
//
//   new ──> pending ── challenge answered ──> ready ── request of the certificate ──> processing ──> valid ──> chain
//             │                                                                                         ^
//             └── invalid: refused                                        it may be asked for again ────┘
//
// What is needed to go on is stored before each step, so that a process that ends here, or hands over, costs no second order.

import { createPrivateKey } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { AcmeConfig } from '../tls/options.ts';
import { certificateRequest } from '../tls/self-signed.ts';
import { Answer, problemOf, secureUrl } from './answers.ts';
import type { Authority, Reply } from './authority.ts';
import { AcmeProblem, senseless } from './problem.ts';
import { keyAuthorization, keyText, newKey, type Signer } from './signing.ts';
import type { AcmeStorage, Challenge, Obtained, StoredOrder } from './storage.ts';

/** Until then it is to be through; what is not goes on at the next try. */
const ORDER_MS = 5 * 60_000;
/** Between two looks at what the authority does, where it wishes nothing else. */
const LOOK_MS = { first: 100, factor: 1.5, most: 15_000 };
/** An older one is not gone on with: it may be stuck at the authority. */
const ORDER_LIFE_MS = 60 * 60_000;
const TOKEN = /^[A-Za-z0-9_-]{16,512}$/;

export interface OrderWorld {
  readonly authority: Authority;
  readonly signer: Signer;
  readonly storage: AcmeStorage;
  readonly challenge: AcmeConfig['challenge'];
  readonly clock: Clock;
  /** Rejects with AcmeProblem when this process is to stop. */
  wait(ms: number): Promise<void>;
  /** Everybody who may be asked knows it when this resolves. Null: it is over. */
  publish(challenge: Challenge | null): Promise<void>;
}

export class Order {
  readonly #world: OrderWorld;
  readonly #name: string;
  readonly #endMs: number;
  #stored: StoredOrder;

  private constructor(world: OrderWorld, name: string, stored: StoredOrder) {
    this.#world = world;
    this.#name = name;
    this.#stored = stored;
    this.#endMs = world.clock.nowMs() + ORDER_MS;
  }

  /** Rejects with AcmeProblem. `replaces`: the certificate that it takes the place of, as renewal information names it. */
  static async obtain(world: OrderWorld, name: string, replaces: string | null): Promise<Obtained> {
    const { storage, clock } = world;
    const left = storage.order(name);
    const ageMs = left === null ? 0 : clock.wallMs() - left.begunMs;
    const isUsable = left !== null && left.url !== '' && ageMs >= 0 && ageMs < ORDER_LIFE_MS;
    const begun = isUsable ? left : freshOrder(clock.wallMs());
    const order = new Order(world, name, begun);
    try {
      const answer = (isUsable ? await order.#resumed() : null) ?? (await order.#begin(replaces));
      return await order.#through(answer);
    } catch (error) {
      // one that stops leaves it to whoever goes on
      if (!(error instanceof AcmeProblem && error.fault === 'stopped')) await order.#answered();
      throw error;
    }
  }

  /** Null: the authority does not go on with it. */
  async #resumed(): Promise<Answer | null> {
    try {
      const { answer } = await this.#look(this.#stored.url, 'an order that was begun');
      if (answer.text('status') !== 'invalid') return answer;
    } catch (error) {
      if (!(error instanceof AcmeProblem) || error.fault !== 'refused') throw error;
      if (error.type === 'accountDoesNotExist') throw error;
    }
    await this.#answered();
    this.#stored = freshOrder(this.#world.clock.wallMs());
    return null;
  }

  async #begin(replaces: string | null): Promise<Answer> {
    const { authority, signer } = this.#world;
    // where it cannot be stored it is not begun
    this.#keep({});
    const directory = await authority.directory();
    const wanted = { identifiers: [{ type: 'dns', value: this.#name }] };
    const post = (payload: object): Promise<Reply> =>
      authority.post(directory.url('newOrder'), payload, signer, 'a new order');
    const isReplacing = replaces !== null && directory.text('renewalInfo') !== '';
    const reply = await post(isReplacing ? { ...wanted, replaces } : wanted).catch((error: unknown) => {
      // RFC 9773 section 5: it has been replaced already, or is not known any more
      const isAboutThat = isReplacing && error instanceof AcmeProblem && REPLACES_REFUSED.has(error.type);
      if (isAboutThat) return post(wanted);
      throw error;
    });
    this.#keep({ url: secureUrl(reply.location, 'the address of the new order') });
    return Answer.parse(reply.body, 'a new order');
  }

  async #through(first: Answer): Promise<Obtained> {
    let order = first;
    let retryAfterMs: number | null = null;
    let lookMs: number = LOOK_MS.first;
    for (let isAsked = false; order.text('status') !== 'valid'; ) {
      const status = order.text('status');
      if (status === 'invalid') throw refusedOrder(order);
      if (status === 'pending') await this.#authorize(order);
      else if (status === 'ready' && !isAsked) {
        isAsked = true;
        await this.#finalize(order);
      } else if (status !== 'processing' && status !== 'ready')
        throw senseless(`the order has the status "${status.slice(0, 40)}"`);
      lookMs = await this.#pause(lookMs, retryAfterMs);
      ({ answer: order, retryAfterMs } = await this.#look(this.#stored.url, 'the order'));
    }
    await this.#answered();
    const { authority, signer } = this.#world;
    const { body } = await authority.post(order.url('certificate'), null, signer, 'the certificate');
    return { key: this.#stored.key, chain: body };
  }

  /** Answers what the authority asks, until it is content. */
  async #authorize(order: Answer): Promise<void> {
    for (const url of order.urls('authorizations')) {
      let lookMs: number = LOOK_MS.first;
      for (let isReady = false; ; ) {
        const { answer, retryAfterMs } = await this.#look(url, 'an authorization');
        const status = answer.text('status');
        if (status === 'valid') break;
        if (status !== 'pending') throw this.#refusedName(answer);
        if (!isReady) await this.#meet(answer);
        isReady = true;
        lookMs = await this.#pause(lookMs, retryAfterMs);
      }
    }
  }

  /** First everybody knows the answer, then the authority hears that it may ask. */
  async #meet(authorization: Answer): Promise<void> {
    const { challenge: type, signer, authority } = this.#world;
    const offered = authorization.list('challenges');
    const challenge = offered.find((each) => each.text('type') === type);
    if (challenge === undefined) {
      const types = offered.map((each) => each.text('type').slice(0, 40)).join(', ');
      throw new AcmeProblem('refused', `${this.#name}: it offers ${types || 'no challenge'}, not ${type}`);
    }
    const token = challenge.text('token');
    if (!TOKEN.test(token)) throw senseless('the token of a challenge is malformed');
    const answer = { type, name: this.#name, token, keyAuthorization: keyAuthorization(token, signer.key) };
    this.#keep({ challenge: answer });
    await this.#world.publish(answer);
    if (challenge.text('status') === 'pending')
      await authority.post(challenge.url('url'), {}, signer, 'a challenge');
  }

  /** Nobody will ask any more. */
  async #answered(): Promise<void> {
    await this.#world.publish(null);
  }

  async #finalize(order: Answer): Promise<void> {
    const { authority, signer } = this.#world;
    const csr = certificateRequest([this.#name], createPrivateKey(this.#stored.key)).toString('base64url');
    await authority.post(order.url('finalize'), { csr }, signer, 'the request of the certificate');
  }

  #refusedName(authorization: Answer): AcmeProblem {
    const failed = authorization.list('challenges').map((each) => problemOf(each.at('error')));
    const found = failed.find(({ detail, type }) => detail !== '' || type !== '');
    const why = found === undefined ? '' : `: ${found.detail} (${found.type})`;
    return new AcmeProblem('refused', `it could not verify ${this.#name}${why}`, found?.type);
  }

  async #look(url: string, what: string): Promise<{ answer: Answer; retryAfterMs: number | null }> {
    const { authority, signer } = this.#world;
    const { body, retryAfterMs } = await authority.post(url, null, signer, what);
    return { answer: Answer.parse(body, what), retryAfterMs };
  }

  /** Returns how long the next pause is. */
  async #pause(lookMs: number, retryAfterMs: number | null): Promise<number> {
    const { clock, wait } = this.#world;
    const waitMs = Math.max(Math.min(LOOK_MS.most, lookMs), retryAfterMs ?? 0);
    if (clock.nowMs() + waitMs > this.#endMs)
      throw senseless(
        `${this.#name}: it does not come to an end within ${ORDER_MS / 60_000} minutes`,
        retryAfterMs,
      );
    await wait(waitMs);
    return lookMs * LOOK_MS.factor;
  }

  #keep(change: Partial<StoredOrder>): void {
    this.#stored = { ...this.#stored, ...change };
    this.#world.storage.keepOrder(this.#name, this.#stored);
  }
}

const REPLACES_REFUSED: ReadonlySet<string> = new Set(['alreadyReplaced', 'malformed', 'unauthorized']);

function freshOrder(wallMs: number): StoredOrder {
  return { url: '', key: keyText(newKey()), begunMs: wallMs, challenge: null };
}

function refusedOrder(order: Answer): AcmeProblem {
  const { detail, type } = problemOf(order.at('error'));
  const why = detail === '' ? '' : `: ${detail}`;
  return new AcmeProblem('refused', `it has refused the order${why}`, type);
}
