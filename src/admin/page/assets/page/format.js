// Figures as the page writes them. Pure.

const GROUPED = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/**
 * Whole numbers with thin spaces between thousands: `12 345`.
 * @param {number} value
 */
export function count(value) {
  return GROUPED.format(value).replaceAll(',', '\u202f');
}

/**
 * Per second; one decimal below ten.
 * @param {number | null} value null: not known yet.
 */
export function rate(value) {
  if (value === null) return '–';
  return value < 10 && value > 0 ? value.toFixed(1) : count(value);
}

/**
 * Three digits and a unit: `850 µs`, `4.2 ms`, `1.25 s`.
 * @param {number | null} seconds null: nothing measured.
 */
export function duration(seconds) {
  if (seconds === null) return '–';
  if (seconds === 0) return '0';
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${digits(seconds * 1000)} ms`;
  return `${digits(seconds)} s`;
}

/**
 * Time since the start: `42 s`, `7 min`, `3 h 5 min`, `12 d 4 h`.
 * @param {number} seconds
 */
export function age(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/**
 * Distance from the fair share: `+4 %`, `−12 %`, `even` below half a per cent.
 * @param {number} share Held over fair; 1 is fair.
 */
export function deviation(share) {
  const percent = Math.round((share - 1) * 100);
  if (percent === 0) return 'even';
  return `${percent > 0 ? '+' : '−'}${count(Math.abs(percent))}\u202f%`;
}

/**
 * A share of one: `0.4 %`, `25 %`.
 * @param {number} share
 */
export function percent(share) {
  const value = share * 100;
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}\u202f%`;
}

/**
 * Ratio to fair: `1.05`.
 * @param {number} value
 */
export function ratio(value) {
  return value.toFixed(2);
}

/**
 * `1 session`, `2 sessions`.
 * @param {number} number
 * @param {string} noun
 */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/**
 * Local time of day with seconds.
 * @param {Date} time
 */
export function timeOfDay(time) {
  return [time.getHours(), time.getMinutes(), time.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}

/** @param {number} value */
function digits(value) {
  if (value < 10) return value.toFixed(2);
  return value < 100 ? value.toFixed(1) : count(value);
}
