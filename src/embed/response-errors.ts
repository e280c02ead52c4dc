// What is wrong with a response that node:http cannot read: by our own parser where it finds it, else in node:http's words.

import { badResponseDetail } from '../exchange/bad-responses.ts';
import type { ServerStreamUser } from '../exchange/streams.ts';
import { Refusal, ResponseHead } from '../http1/message.ts';
import { parseResponseHead } from '../http1/response.ts';

const NOTHING = Buffer.alloc(0);
const SCRATCH = new ResponseHead();

/** Which rule the response broke; null when the error is no fault of a response. `received`: its bytes so far. */
export function brokenRule(
  error: Error,
  received: number,
  { responseLimits, isHead }: ServerStreamUser,
): string | null {
  const code = 'code' in error ? String(error.code) : '';
  if (!code.startsWith('HPE_')) return null;
  const { headBytesMax } = responseLimits;
  if (code === 'HPE_HEADER_OVERFLOW')
    return badResponseDetail(Refusal.headTooLarge, NOTHING, 0, headBytesMax);
  const packet = 'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : NOTHING;
  if (packet.length > 0 && packet.length === received) {
    const end = parseResponseHead(packet, 0, packet.length, responseLimits, isHead, SCRATCH);
    if (end < 0) return badResponseDetail(end, packet, 0, headBytesMax);
  }
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message;
}
