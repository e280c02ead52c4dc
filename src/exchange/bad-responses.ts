// What was wrong with responses that are no valid HTTP, as text, and in the log: once in a while per server, since a
// server that does it once does it with every request.

import type { LogLevel } from '../base/log.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { indexOfSlot } from '../choose/plan.ts';
import { skipToken, skipValue } from '../http1/bytes.ts';
import { Refusal } from '../http1/message.ts';
import { requestRefusal } from './refusals.ts';

const QUIET_MS = 10_000;
const SHOWN_CHARS_MAX = 60;
const COLON = 0x3a;
const CR = 0x0d;

interface Report {
  atMs: number;
  since: number;
}

export class BadResponses {
  readonly #log: (level: LogLevel, message: string) => void;
  readonly #reports = new Map<number, Report>();

  constructor(log: (level: LogLevel, message: string) => void) {
    this.#log = log;
  }

  note(plan: PoolPlan, slot: number, detail: string, nowMs: number): void {
    const last = this.#reports.get(slot);
    if (last !== undefined && nowMs - last.atMs < QUIET_MS) {
      last.since += 1;
      return;
    }
    const server = `${plan.config.name}/${plan.config.servers[indexOfSlot(plan, slot)]?.name ?? slot}`;
    const more =
      last === undefined || last.since === 0 ? '' : `, and ${last.since} more since the last such line`;
    this.#reports.set(slot, { atMs: nowMs, since: 0 });
    this.#log('warn', `bad response from server ${server}: ${detail}${more}`);
  }
}

/** Which rule the response head at `begin` broke, and which field of it. */
export function badResponseDetail(
  refusal: number,
  buffer: Buffer,
  begin: number,
  headBytesMax: number,
): string {
  switch (refusal) {
    case Refusal.headTooLarge:
      return `its head is larger than ${headBytesMax} bytes (limits.responseHeadBytes)`;
    case Refusal.badStatusLine:
      return `malformed status line ${shown(buffer, begin, lineEnd(buffer, begin))}`;
    case Refusal.badHeader:
      return `malformed header line ${faultyLine(buffer, begin)}`;
    default:
      return requestRefusal(refusal).detail;
  }
}

/** The first line that is not `name: value`. */
function faultyLine(buffer: Buffer, begin: number): string {
  let position = lineEnd(buffer, begin) + 1;
  while (position < buffer.length) {
    const nameEnd = skipToken(buffer, position, buffer.length);
    const valueEnd = skipValue(buffer, nameEnd, buffer.length);
    const isPlain = nameEnd > position && buffer[nameEnd] === COLON && buffer[valueEnd] === CR;
    const end = lineEnd(buffer, position);
    if (!isPlain || valueEnd + 1 !== end || /_(?:length|encoding)$/i.test(text(buffer, position, nameEnd)))
      return shown(buffer, position, end);
    position = end + 1;
  }
  return '';
}

/** Place of the line's LF. */
function lineEnd(buffer: Buffer, begin: number): number {
  const end = buffer.indexOf(0x0a, begin);
  return end < 0 ? buffer.length : end;
}

function text(buffer: Buffer, begin: number, end: number): string {
  return buffer.toString('latin1', begin, end);
}

function shown(buffer: Buffer, begin: number, end: number): string {
  const line = text(buffer, begin, Math.min(end, begin + SHOWN_CHARS_MAX)).replace(/\r$/, '');
  // a value may be a secret: the name says enough
  const name = /^[!#-'*+.^_`|~0-9A-Za-z-]+(?=:)/.exec(line)?.[0];
  return JSON.stringify(name ?? line);
}
