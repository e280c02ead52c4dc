// Where a request that came in the clear is sent on to.

import { latin1 } from '../base/latin1.ts';
import type { RequestHead } from '../http1/message.ts';

/** The same URL over https. `authority` stands in for the Host that an HTTP/1.0 client did not send. */
export function secureUrl(buffer: Buffer, head: RequestHead, authority: string, port: number): string {
  const host = latin1(buffer, head.hostBegin, head.hostEnd) || authority;
  const path = latin1(buffer, head.pathBegin, head.targetEnd);
  const place = port === 443 ? '' : `:${port}`;
  return `https://${host.replace(/:\d*$/, '')}${place}${path.startsWith('/') ? path : '/'}`;
}
