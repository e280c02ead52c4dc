// The date of a cookie's Expires as browsers read it (RFC 6265 section 5.1.1): four parts in whatever order, all else is
// passed over. What has not all four is no date, and the attribute is ignored: `0` and `-1` do not delete a cookie.

const DELIMITERS = /[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+/;
const TIME = /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)/;
const DAY = /^(\d{1,2})(?!\d)/;
const YEAR = /^(\d{2,4})(?!\d)/;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const YEAR_MIN = 1601;

/** Milliseconds since 1970, NaN when it is no date. Of each part the first counts. */
export function cookieDate(text: string): number {
  let time: RegExpExecArray | null = null;
  let day = Number.NaN;
  let month = -1;
  let year = Number.NaN;
  for (const token of text.split(DELIMITERS)) {
    const found: RegExpExecArray | null = time === null ? TIME.exec(token) : null;
    if (found !== null) time = found;
    else if (Number.isNaN(day) && DAY.test(token)) day = Number(DAY.exec(token)?.[1]);
    else if (month === -1 && MONTHS.includes(token.slice(0, 3).toLowerCase()))
      month = MONTHS.indexOf(token.slice(0, 3).toLowerCase());
    else if (Number.isNaN(year)) year = Number(YEAR.exec(token)?.[1]);
  }
  if (time === null || month === -1) return Number.NaN;
  const [hour, minute, second] = time.slice(1).map(Number) as [number, number, number];
  if (year < 100) year += year < 70 ? 2000 : 1900;
  const isIn = year >= YEAR_MIN && hour < 24 && minute < 60 && second < 60;
  const ms = isIn ? Date.UTC(year, month, day, hour, minute, second) : Number.NaN;
  // a day that the month does not have is none of the next month
  return new Date(ms).getUTCDate() === day ? ms : Number.NaN;
}
