// One HTTP request of a command. node:http and not undici: loading that takes longer than the whole command does.

import { type IncomingMessage, request as requestInTheClear } from 'node:http';
import { request as requestOverTls } from 'node:https';

/** Of silence: the admin server answers from memory. A reload waits for all threads. */
const TIMEOUT_MS = 10_000;

export interface AdminRequest {
  readonly method: 'GET' | 'PATCH' | 'POST';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** null: none. */
  readonly body: string | null;
}

/** The response as soon as its head is there. Rejects with why in words. */
export function send({ method, url, headers, body }: AdminRequest): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? requestOverTls : requestInTheClear;
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, timeout: TIMEOUT_MS }, resolve);
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.on('error', (error) => reject(new Error(whyUnreachable(error))));
    outgoing.end(body ?? undefined);
  });
}

/** The whole body, of which what is longer than `charactersMax` is left out. Rejects with why in words. */
export async function textOf(response: IncomingMessage, charactersMax: number): Promise<string> {
  let all = '';
  try {
    for await (const text of response.setEncoding('utf8'))
      if (all.length < charactersMax) all += text as string;
  } catch {
    throw new Error('the answer stopped half-way');
  }
  return all.slice(0, charactersMax);
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'the name is not known',
  EHOSTUNREACH: 'the host cannot be reached',
  ETIMEDOUT: 'no connection in time',
  ECONNRESET: 'closed without an answer',
};

function whyUnreachable(error: NodeJS.ErrnoException): string {
  return REASONS[error.code ?? ''] ?? (error.message || String(error.code));
}
