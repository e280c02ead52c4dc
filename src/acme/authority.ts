// An authority as one talks to it: its directory, nonces, signed requests (RFC 8555 sections 6 and 7.1.1). One request at a time.
//
//   directory ──> nonce ──> signed request ──┬── answer, with the next nonce
//                   ^                        ├── badNonce: again, with the nonce that came with it
//                   └────────────────────────┘

import type { Agent, Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import { undici } from '../base/late-undici.ts';
import { packageVersion } from '../base/version.ts';
import { Answer, refusalOf, retryAfter, secureUrl } from './answers.ts';
import { AcmeProblem, senseless } from './problem.ts';
import { type Signer, signed } from './signing.ts';

const REQUEST_MS = 30_000;
const ANSWER_BYTES_MAX = 1024 * 1024;
/** Nonces of a server that does not take its own are not tried for ever. */
const NONCES_MAX = 10;
/** For one certificate: some ten are usual, and one every 15 s while the authority takes its time. */
const REQUESTS_MAX = 100;
const NONCE = /^[A-Za-z0-9_-]{1,512}$/;

export interface Reply {
  readonly status: number;
  readonly body: string;
  /** '' where there is none. */
  readonly location: string;
  readonly retryAfterMs: number | null;
}

export interface AuthorityOptions {
  /** Address of its directory. */
  readonly directory: string;
  /** Authorities of its own certificate, PEM; null: those that Node comes with. */
  readonly ca: string | null;
  readonly clock: Clock;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** What is under way may end, but nothing more is asked. */
  readonly isStopping: () => boolean;
  /** For connection, question and answer together. */
  readonly requestMs?: number;
}

export class Authority {
  readonly #options: AuthorityOptions;
  readonly #agent: Agent;
  readonly #requestMs: number;
  #directory: Answer | null = null;
  #nonce: string | null = null;
  #requestsLeft = REQUESTS_MAX;

  constructor(options: AuthorityOptions) {
    this.#options = options;
    const { ca, requestMs = REQUEST_MS } = options;
    this.#requestMs = requestMs;
    this.#agent = new (undici().Agent)({
      maxResponseSize: ANSWER_BYTES_MAX,
      pipelining: 1,
      connect: { timeout: requestMs, ...(ca === null ? {} : { ca }) },
    });
  }

  /** What it is asked from now on is for another certificate: however it answers, the questions come to an end. */
  beginAnother(): void {
    this.#requestsLeft = REQUESTS_MAX;
  }

  /** Read once. Throws AcmeProblem, as all below. */
  async directory(): Promise<Answer> {
    if (this.#directory === null) {
      const { body } = await this.get(this.#options.directory, 'its directory');
      this.#directory = Answer.parse(body, 'its directory');
    }
    return this.#directory;
  }

  async get(url: string, what: string): Promise<Reply> {
    const reply = await this.#send(url, what, 'GET', null);
    if (reply.status !== 200) throw this.#refusal(reply, what);
    return reply;
  }

  /** `payload` null: it only asks. `what` is asked for, in words. */
  async post(url: string, payload: object | null, signer: Signer, what: string): Promise<Reply> {
    for (let tries = 0; tries < NONCES_MAX; tries += 1) {
      const nonce = await this.#takeNonce();
      const reply = await this.#send(url, what, 'POST', signed(url, payload, nonce, signer));
      if (reply.status === 200 || reply.status === 201 || reply.status === 204) return reply;
      const refusal = this.#refusal(reply, what);
      if (refusal.type !== 'badNonce') throw refusal;
    }
    throw senseless(`${what}: none of ${NONCES_MAX} nonces that it gave were good`);
  }

  async #takeNonce(): Promise<string> {
    const url = (await this.directory()).url('newNonce');
    if (this.#nonce === null) await this.#send(url, 'a nonce', 'HEAD', null);
    const nonce = this.#nonce;
    if (nonce === null) throw senseless('a nonce: none came');
    this.#nonce = null;
    return nonce;
  }

  async #send(url: string, what: string, method: Dispatcher.HttpMethod, body: string | null): Promise<Reply> {
    secureUrl(url, 'the directory');
    const { signal, clock, isStopping } = this.#options;
    if (signal.aborted || isStopping()) throw new AcmeProblem('stopped', what);
    this.#requestsLeft -= 1;
    if (this.#requestsLeft < 0) throw senseless(`${what}: ${REQUESTS_MAX} requests have led to nothing`);
    try {
      const tooLong = AbortSignal.timeout(this.#requestMs);
      const response = await undici().request(url, {
        method,
        dispatcher: this.#agent,
        signal: AbortSignal.any([signal, tooLong]),
        headers: headersOf(body),
        ...(body === null ? {} : { body }),
      });
      const text = await response.body.text();
      const { headers, statusCode } = response;
      const nonce = first(headers['replay-nonce']);
      if (NONCE.test(nonce)) this.#nonce = nonce;
      return {
        status: statusCode,
        body: text,
        location: first(headers['location']),
        retryAfterMs: retryAfter(first(headers['retry-after']), clock.wallMs()),
      };
    } catch (error) {
      if (signal.aborted) throw new AcmeProblem('stopped', what);
      throw new AcmeProblem('unreachable', `${what}: ${this.#reasonOf(error)}`);
    }
  }

  #refusal({ status, body, retryAfterMs }: Reply, what: string): AcmeProblem {
    if (status >= 200 && status < 400) return senseless(`${what}: answered with status ${status}`);
    return refusalOf(status, body, what, retryAfterMs);
  }

  #reasonOf(error: unknown): string {
    if (!(error instanceof Error)) return String(error);
    if (error.name === 'TimeoutError') return `no answer within ${this.#requestMs / 1000} s`;
    const { cause, message } = error;
    const inner: unknown = error instanceof AggregateError ? error.errors[0] : cause;
    return inner instanceof Error && inner.message !== '' ? inner.message : message || error.name;
  }

  /** Nothing is asked any more. */
  async end(): Promise<void> {
    await this.#agent.destroy();
  }
}

function headersOf(body: string | null): Record<string, string> {
  const agent = { 'user-agent': `holdfast/${packageVersion()}` };
  if (body === null) return agent;
  return { ...agent, 'content-type': 'application/jose+json' };
}

function first(value: string | string[] | undefined): string {
  return (Array.isArray(value) ? value[0] : value) ?? '';
}
