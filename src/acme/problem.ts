// Why there is no certificate: whose fault, and when to try again at the earliest.

/**
 * `refused`: the authority said no. `unreachable`: it did not answer, or nothing that makes sense. `failed`: it is ours, such as
 * a folder that cannot be written. `stopped`: this process ends or hands over, what is under way goes on later.
 */
export type AcmeFault = 'refused' | 'unreachable' | 'failed' | 'stopped';

/** After these it is said, counted and tried again later. */
export type OrderFault = Exclude<AcmeFault, 'stopped'>;

/** What others say may be in a message: as one line that can do no harm in a log. */
const MESSAGE_CHARS_MAX = 600;

export class AcmeProblem extends Error {
  readonly fault: AcmeFault;
  /** Kind of a refusal (RFC 8555 section 6.7), without its prefix; '' where there is none. */
  readonly type: string;
  /** As the authority wishes; null: it has said nothing. */
  readonly retryAfterMs: number | null;

  constructor(fault: AcmeFault, message: string, type = '', retryAfterMs: number | null = null) {
    super(plainLine(message, MESSAGE_CHARS_MAX));
    this.fault = fault;
    this.type = type;
    this.retryAfterMs = retryAfterMs;
  }
}

export function plainLine(text: string, charsMax: number): string {
  const line = text
    .slice(0, 2 * charsMax)
    .replaceAll(/[^\x20-\x7e]+/g, ' ')
    .trim();
  return line.length > charsMax ? `${line.slice(0, charsMax)}...` : line;
}

/** Nothing that makes sense came. */
export function senseless(message: string, retryAfterMs: number | null = null): AcmeProblem {
  return new AcmeProblem('unreachable', message, '', retryAfterMs);
}
