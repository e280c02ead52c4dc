// Durations, sizes and shares as people write them: `250ms`, `64KiB`, `20%`. Pure; null means "not of this form".

const DURATION_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

const BYTE_UNITS = new Map<string, number>([
  ['', 1],
  ['B', 1],
  ['KB', 1_000],
  ['kB', 1_000],
  ['MB', 1_000_000],
  ['GB', 1_000_000_000],
  ['KiB', 1_024],
  ['MiB', 1_048_576],
  ['GiB', 1_073_741_824],
]);

const BYTE_UNITS_PRINTED = ['GiB', 'MiB', 'KiB', 'GB', 'MB', 'KB'] as const;

/** Longest text any of the parsers looks at; longer is refused, so that no input makes them slow. */
const TEXT_LENGTH_MAX = 64;

/** What a duration looks like, for schemas: `0`, `250ms`, `5s`, `1h30m`. */
export const DURATION_PATTERN =
  '^(0|(\\d+(\\.\\d+)?d)?(\\d+(\\.\\d+)?h)?(\\d+(\\.\\d+)?m)?(\\d+(\\.\\d+)?s)?(\\d+ms)?)$';
/** What a size looks like, for schemas: `4096`, `64KiB`, `10MB`. */
export const BYTES_PATTERN = '^\\d+(\\.\\d+)?\\s?(B|[kK]B|MB|GB|KiB|MiB|GiB)?$';
/** What a share looks like, for schemas: `20%`, `2.5%`. */
export const PERCENT_PATTERN = '^\\d+(\\.\\d+)?\\s?%$';

/** Milliseconds of `0`, `250ms`, `5s`, `1.5h` or `1h30m` (units largest first); null when it is none of these. */
export function parseDuration(text: string): number | null {
  if (text === '0') return 0;
  if (text === '' || text.length > TEXT_LENGTH_MAX) return null;
  let rest = text;
  let totalMs = 0;
  for (const [unit, unitMs] of DURATION_UNITS) {
    const match = /^(\d+(?:\.\d+)?)(ms|[dhms])/.exec(rest);
    if (match === null) break;
    const [whole, amount, written] = match;
    if (written !== unit) continue;
    totalMs += Number(amount) * unitMs;
    rest = rest.slice(whole.length);
  }
  const rounded = Math.round(totalMs);
  const isWhole = Math.abs(totalMs - rounded) < 1e-6;
  return rest === '' && isWhole && Number.isSafeInteger(rounded) ? rounded : null;
}

/** The shortest single-unit spelling that parses back to the same milliseconds: 90000 is `90s`, 0 is `0s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s';
  for (const [unit, unitMs] of DURATION_UNITS) {
    if (unit !== 'd' && milliseconds % unitMs === 0) return `${milliseconds / unitMs}${unit}`;
  }
  return `${milliseconds}ms`;
}

/** Bytes of `4096`, `64KiB` or `10MB` (KiB is 1024, KB is 1000); null when it is none of these. */
export function parseBytes(text: string): number | null {
  if (text.length > TEXT_LENGTH_MAX) return null;
  const match = /^(\d+(?:\.\d+)?)\s?([A-Za-z]*)$/.exec(text);
  const unitBytes = BYTE_UNITS.get(match?.[2] ?? '');
  if (match === null || unitBytes === undefined) return null;
  const bytes = Number(match[1]) * unitBytes;
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** The largest unit that divides evenly: 65536 is `64KiB`, 10000000 is `10MB`, 5 is `5`. */
export function formatBytes(bytes: number): string {
  if (bytes === 0) return '0';
  for (const unit of BYTE_UNITS_PRINTED) {
    const unitBytes = BYTE_UNITS.get(unit) ?? 1;
    if (bytes % unitBytes === 0) return `${bytes / unitBytes}${unit}`;
  }
  return String(bytes);
}

/** The share 0.2 of `20%`; null when it is not a number and a percent sign. The range is the caller's to check. */
export function parsePercent(text: string): number | null {
  if (text.length > TEXT_LENGTH_MAX) return null;
  const match = /^(\d+(?:\.\d+)?)\s?%$/.exec(text);
  if (match === null) return null;
  // 0.07 * 100 is not 7 in binary, so shares are cut to twelve digits, which every spelling survives
  return Number((Number(match[1]) / 100).toPrecision(12));
}

/** `20%` of 0.2, parsing back to the same share. */
export function formatPercent(share: number): string {
  return `${Number((share * 100).toPrecision(12))}%`;
}

/** `22:04:39`, of the machine's time zone, as the operator's watch shows it. */
export function clockTime(timeMs: number): string {
  return new Date(timeMs).toTimeString().slice(0, 8);
}

/** The same; with the day in front when it is another than `nowMs`: `Nov 26 22:04:39`. */
export function dayAndTime(timeMs: number, nowMs: number): string {
  const day = new Date(timeMs).toDateString();
  return day === new Date(nowMs).toDateString()
    ? clockTime(timeMs)
    : `${day.slice(4, 10)} ${clockTime(timeMs)}`;
}
