// What `explain` may be asked with: the fields of a request as node:http has them do as well as a list.

import type { IncomingHttpHeaders } from 'node:http';
import type { ExplainQuestion } from '../choose/explain.ts';

export interface BalancerQuestion {
  /** Cookie header: `name=value; name=value`. A bare value is taken for the pool's own cookie. */
  readonly cookie?: string;
  /** `request.headers`, its cookies included, or pairs of name and value. */
  readonly headers?: IncomingHttpHeaders | ExplainQuestion['headers'];
  /** The client's. */
  readonly address?: string;
  /** Path and query, for keys that are read from there; `/` when it is left out. */
  readonly target?: string;
}

/** They belong to one message and its connection, and say nothing of where it goes. */
const OF_ONE_MESSAGE =
  /^(?::.*|host|connection|keep-alive|te|trailer|upgrade|expect|content-length|transfer-encoding)$/;

export function questionOf(question: BalancerQuestion): ExplainQuestion {
  const { cookie = '', headers = [], address = '', target = '/' } = question;
  return { cookie, headers: isList(headers) ? headers : pairsOfFields(headers), address, target };
}

function isList(headers: object): headers is ExplainQuestion['headers'] {
  return Array.isArray(headers);
}

function pairsOfFields(headers: IncomingHttpHeaders): ExplainQuestion['headers'] {
  return Object.entries(headers)
    .filter(([name]) => !OF_ONE_MESSAGE.test(name))
    .flatMap(([name, value]) => [value ?? []].flat().map((one) => [name, one] as const));
}
