// A line of the log as a terminal shows it: `22:04:39 WARN server b of pool shop is down  reason="connection refused"`.

import { printable } from '../base/printable.ts';
import { clockTime } from '../base/units.ts';

const LEVELS: Readonly<Record<number, readonly [word: string, colour: number]>> = {
  10: ['TRACE', 90],
  20: ['DEBUG', 90],
  30: ['INFO', 32],
  40: ['WARN', 33],
  50: ['ERROR', 31],
  60: ['FATAL', 31],
};
const GREY = 90;
/** What every line has, and stands in its place. */
const IN_PLACE: ReadonlySet<string> = new Set(['level', 'time', 'msg']);

/** From a line of JSON as pino writes it. What is no such line is shown as it is. */
export function terminalLine(json: string): string {
  const fields = parsed(json);
  if (fields === null) return json;
  const { level, time, msg } = fields;
  const [word, colour] = LEVELS[Number(level)] ?? ['INFO', GREY];
  const rest = Object.entries(fields).filter(([name]) => !IN_PLACE.has(name));
  const told = rest.filter(([, value]) => !isError(value)).map(([name, value]) => `${name}=${shown(value)}`);
  const stacks = rest.flatMap(([, value]) => (isError(value) ? value.stack.split('\n') : []));
  const parts = [
    painted(clockTime(Number(time)), GREY),
    painted(word, colour),
    ...(typeof msg === 'string' && msg !== '' ? [printable(msg)] : []),
    ...(told.length > 0 ? [painted(told.join(' '), GREY)] : []),
  ];
  return `${[parts.join(' '), ...stacks.map(printable)].join('\n')}\n`;
}

function parsed(json: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/** As pino writes an error that is logged as `err`. */
function isError(value: unknown): value is { readonly stack: string } {
  return typeof value === 'object' && value !== null && 'stack' in value && typeof value.stack === 'string';
}

function shown(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
}

function painted(text: string, colour: number): string {
  return `\u001b[${colour}m${printable(text)}\u001b[39m`;
}
