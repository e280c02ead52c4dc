// A request body that a parser of the application has read already, written down again to be sent (what users of
// http-proxy-middleware know as fixRequestBody).

import { stringify } from 'node:querystring';
import type { NodeRequest } from './node-messages.ts';

/** Null: there is nothing that it could be made of, as with uploads in parts (multipart). */
export function bodyReadBefore(request: NodeRequest): Buffer | null {
  const body: unknown = 'body' in request ? request.body : undefined;
  if (Buffer.isBuffer(body)) return body;
  if (typeof body === 'string') return Buffer.from(body);
  if (typeof body !== 'object' || body === null) return null;
  const type = request.headers['content-type'] ?? '';
  if (/^application\/(?:json|[^;]*\+json)\b/i.test(type)) return Buffer.from(JSON.stringify(body));
  if (/^application\/x-www-form-urlencoded\b/i.test(type))
    return Buffer.from(stringify(Object.fromEntries(Object.entries(body))));
  return null;
}
