// `npm run load`: autocannon with many distinct users against a running demo, so that people can watch the dashboard
// while they kill things. Loopback only: this is no tool to aim at others.
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { request } from 'undici';
import { DEMO_PASSWORD } from '../demo/users.ts';
import { CookieJar } from './client.ts';

const USAGE = `usage: npm run load -- [--url http://127.0.0.1:8080] [--users 50] [--rate 200] [--seconds 60]

Logs in so many users, each with a connection and a cookie jar of its own, and lets them read and write for so long.
--rate 0 sends as fast as answers come.
`;
const NUMBERS = { users: [1, 5000], rate: [0, 100_000], seconds: [1, 86_400] } as const;
/** Of so many requests of a user one writes. */
const WRITE_EVERY = 3;
/** Log-ins under way at the same time. */
const LOGINS_AT_ONCE = 8;
const PROGRESS_MS = 1000;

/** What the load is asked for. */
export interface LoadOptions {
  readonly url: string;
  readonly users: number;
  /** Requests a second in all; 0: no limit. */
  readonly rate: number;
  readonly seconds: number;
}

/** What came of it. */
export interface LoadSummary {
  readonly requests: number;
  readonly byClass: Readonly<Record<'2xx' | '4xx' | '5xx', number>>;
  /** Connections reset, refused or timed out. */
  readonly errors: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Times a user had to log in again. */
  readonly loginsAgain: number;
}

/** What has come so far: answers by the first digit of their status. */
export type LoadProgress = Readonly<Record<'2' | '4' | '5', number>>;

/** One request of a user as autocannon builds it, each time again. */
interface Turn {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  setupRequest(request: Turn): object;
  onResponse(
    status: number,
    body: string,
    context: unknown,
    headers: Readonly<Record<string, unknown>>,
  ): void;
}
/** The part of autocannon that is used; the package has no types. */
interface Connection {
  setRequests(requests: readonly Turn[]): void;
}
interface CannonResult {
  readonly '2xx': number;
  readonly '4xx': number;
  readonly '5xx': number;
  readonly errors: number;
  readonly duration: number;
  readonly requests: { readonly total: number };
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
}
type Cannon = (options: object) => PromiseLike<CannonResult> & { stop(): void };

/** Reads the command line; a text is a complaint. Pure. */
export function parseLoadOptions(argv: readonly string[]): LoadOptions | string {
  let values: { url: string; users: string; rate: string; seconds: string };
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        url: { type: 'string', default: 'http://127.0.0.1:8080' },
        users: { type: 'string', default: '50' },
        rate: { type: 'string', default: '200' },
        seconds: { type: 'string', default: '60' },
      },
    }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  if (!isLoopback(values.url))
    return `--url ${values.url}: only http:// on this machine (127.0.0.1, [::1], localhost)`;
  for (const name of ['users', 'rate', 'seconds'] as const) {
    const [min, max] = NUMBERS[name];
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < min || value > max)
      return `--${name} ${values[name]}: a whole number from ${min} to ${max} is allowed`;
  }
  return {
    url: new URL(values.url).origin,
    users: Number(values.users),
    rate: Number(values.rate),
    seconds: Number(values.seconds),
  };
}

/** True for http:// URLs of this machine. */
export function isLoopback(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return (
    protocol === 'http:' &&
    (/^127(\.\d{1,3}){3}$/.test(hostname) || ['[::1]', 'localhost'].includes(hostname))
  );
}

/** Runs the load; `onStart` is called when all are logged in, `onProgress` every second from then on. */
export async function runLoad(
  options: LoadOptions,
  signal: AbortSignal,
  onStart: () => void,
  onProgress: (progress: LoadProgress) => void = () => undefined,
): Promise<LoadSummary> {
  const jars = Array.from({ length: options.users }, () => new CookieJar());
  await inTurns(jars, LOGINS_AT_ONCE, (jar, index) => login(options.url, jar, index));
  onStart();
  const autocannon = createRequire(import.meta.url)('autocannon') as Cannon;
  const users = jars.map((jar, index) => new LoadUser(options.url, jar, index));
  const soFar = (): LoadProgress => {
    const sum = (digit: '2' | '4' | '5'): number =>
      users.reduce((total, { answers }) => total + answers[digit], 0);
    return { 2: sum('2'), 4: sum('4'), 5: sum('5') };
  };
  let next = 0;
  const running = autocannon({
    url: options.url,
    connections: options.users,
    duration: options.seconds,
    timeout: 5,
    ...(options.rate === 0 ? {} : { overallRate: options.rate }),
    setupClient: (connection: Connection) => {
      connection.setRequests(users[next % users.length]?.turns() ?? []);
      next += 1;
    },
  });
  signal.addEventListener('abort', () => running.stop());
  const progressing = setInterval(() => onProgress(soFar()), PROGRESS_MS);
  // what autocannon returns can be waited for, and is no Promise otherwise
  const result = await Promise.resolve(running).finally(() => clearInterval(progressing));
  return {
    requests: result.requests.total,
    byClass: { '2xx': result['2xx'], '4xx': result['4xx'], '5xx': result['5xx'] },
    errors: result.errors,
    seconds: result.duration,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    maxMs: result.latency.max,
    loginsAgain: users.reduce((total, { loginsAgain }) => total + loginsAgain, 0),
  };
}

/** One user: sends what the jar holds, keeps what comes, logs in again when told to. */
class LoadUser {
  loginsAgain = 0;
  readonly answers = { 2: 0, 4: 0, 5: 0 };
  readonly #url: string;
  readonly #jar: CookieJar;
  readonly #index: number;
  #isLoggingIn = false;

  constructor(url: string, jar: CookieJar, index: number) {
    this.#url = url;
    this.#jar = jar;
    this.#index = index;
  }

  /** Reads, and one write, over and over. */
  turns(): readonly Turn[] {
    return Array.from({ length: WRITE_EVERY }, (_, turn) => this.#turn(turn === WRITE_EVERY - 1));
  }

  #turn(isWrite: boolean): Turn {
    const contentType = isWrite ? { 'content-type': 'application/json' } : {};
    return {
      ...(isWrite ? { method: 'POST', path: '/inc', body: '{}' } : { method: 'GET', path: '/whoami' }),
      setupRequest: (turn) => ({ ...turn, headers: { ...contentType, cookie: this.#jar.header } }),
      onResponse: (status, _body, _context, headers) => {
        this.#jar.keep(setCookiesIn(headers));
        const digit = Math.floor(status / 100);
        if (digit === 2 || digit === 4 || digit === 5) this.answers[digit] += 1;
        if (status === 401) this.#loginAgain();
      },
    };
  }

  #loginAgain(): void {
    if (this.#isLoggingIn) return;
    this.#isLoggingIn = true;
    this.loginsAgain += 1;
    login(this.#url, this.#jar, this.#index)
      // The next 401 tries again.
      .catch(() => undefined)
      .finally(() => {
        this.#isLoggingIn = false;
      });
  }
}

/** The Set-Cookie lines among headers of any case. Pure. */
export function setCookiesIn(headers: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(headers)
    .filter(([name]) => name.toLowerCase() === 'set-cookie')
    .flatMap(([, value]) => [value].flat())
    .filter((line) => typeof line === 'string');
}

async function login(url: string, jar: CookieJar, index: number): Promise<void> {
  const cookie = jar.header;
  const response = await request(`${url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(cookie === '' ? {} : { cookie }) },
    body: JSON.stringify({ user: `user${index + 1}`, password: DEMO_PASSWORD }),
  });
  await response.body.dump();
  if (response.statusCode !== 200) throw new Error(`log-in at ${url} answered ${response.statusCode}`);
  jar.keep([response.headers['set-cookie'] ?? []].flat());
}

async function inTurns<T>(
  items: readonly T[],
  atOnce: number,
  act: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const queue = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of queue) await act(item, index);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** One line while it runs; `before`: a second ago. Pure. */
export function progressLine(seconds: number, now: LoadProgress, before: LoadProgress): string {
  const total = (progress: LoadProgress): number => progress[2] + progress[4] + progress[5];
  const came = total(now) - total(before);
  return `${String(seconds).padStart(4)} s  ${String(came).padStart(6)}/s  2xx ${now[2]}, 4xx ${now[4]}, 5xx ${now[5]}\n`;
}

/** The summary as people read it. Pure. */
export function summaryLines(summary: LoadSummary): string {
  const { requests, seconds, byClass, errors, loginsAgain, p50Ms, p99Ms, maxMs } = summary;
  return `${requests} requests in ${seconds.toFixed(1)} s (${(requests / Math.max(1, seconds)).toFixed(0)}/s)
answers    2xx ${byClass['2xx']}, 4xx ${byClass['4xx']}, 5xx ${byClass['5xx']}, no answer ${errors}
log-ins    ${loginsAgain} users had to log in again
latency    median ${p50Ms} ms, 99 of 100 within ${p99Ms} ms, longest ${maxMs} ms
`;
}

async function main(): Promise<number> {
  const argv = process.argv.slice(2);
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(USAGE);
    return 0;
  }
  const options = parseLoadOptions(argv);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n\n${USAGE}`);
    return 2;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
  try {
    const onStart = (): void => {
      process.stdout.write(
        `${options.users} users logged in; load for ${options.seconds} s, Ctrl-C ends it\n`,
      );
    };
    let before: LoadProgress = { 2: 0, 4: 0, 5: 0 };
    let passed = 0;
    const summary = await runLoad(options, stop.signal, onStart, (now) => {
      passed += 1;
      process.stderr.write(progressLine(passed, now, before));
      before = now;
    });
    process.stdout.write(summaryLines(summary));
    return 0;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${why}; is a demo running at ${options.url}? (npm start)\n`);
    return 1;
  }
}

if (import.meta.main) process.exitCode = await main();
