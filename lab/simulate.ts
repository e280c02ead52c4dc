// Drives the planned users against a real balancer and writes down what they saw. Arrival times come from the plan;
// nothing here waits for an answer before it sends the next request, except a user who has to log in.
import { DEMO_PASSWORD } from '../demo/users.ts';
import type { CellPlan } from './cells.ts';
import { CookieJar, type Reply, type Target } from './client.ts';
import type { Arrival } from './schedule.ts';
import type { Exchange, Kind, Outcome } from './transcript.ts';

/** Time as the experiment counts it. */
export interface LabClock {
  /** Milliseconds since the begin. */
  nowMs(): number;
  /** Resolves at that time, or at once when the experiment is called off. */
  until(ms: number): Promise<void>;
}

interface User {
  readonly index: number;
  readonly headers: Readonly<Record<string, string>>;
  jar: CookieJar;
  /** Number of the session under way or last had; -1 before the first. */
  session: number;
  state: 'out' | 'waiting' | 'in' | 'gone';
  /** The session before was lost, so that the next log-in is forced. */
  wasLost: boolean;
  /** Cookie header as it was right before the log-out. */
  stolen: string;
  /** When the latest pair was due, and how many of its answers are still to come. */
  pairMs: number;
  pairsUnderWay: number;
}

/** Bytes of a session's JSON before it grows, and what one more key costs beside its characters. */
const SESSION_BYTES = 1024;
const GROWTH_KEY_BYTES = ',"grown":""'.length;

/** Bytes of a session's JSON once `size` characters have been added to it. */
export function grownBytes(size: number): number {
  return SESSION_BYTES + GROWTH_KEY_BYTES + size;
}

/** Longest wait for answers after the last request was sent. */
const FINISH_MS_MAX = 7000;

/** Plays the plan to its end; returns every exchange in the order of their ends. `onAllIn`: every user's first log-in has ended. */
export async function simulate(
  plan: CellPlan,
  target: Target,
  clock: LabClock,
  signal: AbortSignal,
  onAllIn: () => void,
): Promise<readonly Exchange[]> {
  const simulation = new Simulation(plan, target, clock, onAllIn);
  let reachedMs = 0;
  for (const arrival of plan.arrivals) {
    // A timer may fire a little early; what is due at one time begins at one time all the same.
    const isDue = arrival.atMs <= reachedMs || arrival.atMs - clock.nowMs() <= 1;
    if (!isDue) await clock.until(arrival.atMs);
    reachedMs = arrival.atMs;
    if (signal.aborted) break;
    simulation.begin(arrival);
  }
  await Promise.race([simulation.finished(), clock.until(clock.nowMs() + FINISH_MS_MAX)]);
  return simulation.transcript;
}

class Simulation {
  readonly transcript: Exchange[] = [];
  readonly #plan: CellPlan;
  readonly #target: Target;
  readonly #clock: LabClock;
  readonly #users: readonly User[];
  readonly #underWay = new Set<Promise<void>>();
  /** Users whose first log-in has not ended. */
  readonly #newcomers: Set<User>;
  readonly #onAllIn: () => void;

  constructor(plan: CellPlan, target: Target, clock: LabClock, onAllIn: () => void) {
    this.#plan = plan;
    this.#target = target;
    this.#clock = clock;
    this.#users = Array.from({ length: plan.users }, (_, index) => ({
      index,
      headers:
        plan.architecture.sticky === 'header-hash' ? { 'x-session-id': `${plan.seed}-visitor-${index}` } : {},
      jar: new CookieJar(),
      session: -1,
      state: 'out',
      wasLost: false,
      stolen: '',
      pairMs: -1,
      pairsUnderWay: 0,
    }));
    this.#newcomers = new Set(this.#users);
    this.#onAllIn = onAllIn;
  }

  async finished(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  /** Starts what the plan has for now. */
  begin(arrival: Arrival): void {
    const user = this.#users[arrival.user];
    if (user === undefined) return;
    const doing = this.#perform(user, arrival);
    this.#underWay.add(doing);
    void doing.finally(() => this.#underWay.delete(doing));
  }

  async #perform(user: User, { kind, atMs, size }: Arrival): Promise<void> {
    switch (kind) {
      case 'login':
        if (user.state !== 'in') await this.#login(user, atMs);
        return;
      case 'leave':
        await this.#leave(user, atMs);
        return;
      case 'logout':
        if (user.state !== 'in') return;
        user.stolen = user.jar.header;
        user.state = 'gone';
        await this.#send(user, kind, atMs, 'POST', '/logout', '{}');
        return;
      case 'replay':
        if (user.stolen !== '') await this.#send(user, kind, atMs, 'GET', '/whoami', null);
        return;
      case 'pair':
        await this.#pair(user, atMs);
        return;
      default:
        await this.#work(user, kind, atMs, size);
    }
  }

  /** One of a pair. A pair that is due before the one before has been answered would make three at once: it is left out. */
  async #pair(user: User, atMs: number): Promise<void> {
    if (user.pairsUnderWay > 0 && user.pairMs !== atMs) {
      this.#note(user, 'pair', atMs, this.#clock.nowMs(), { type: 'skipped' }, 0, 0);
      return;
    }
    user.pairMs = atMs;
    user.pairsUnderWay += 1;
    await this.#work(user, 'pair', atMs, 0);
    user.pairsUnderWay -= 1;
  }

  async #work(user: User, kind: Kind, atMs: number, size: number): Promise<void> {
    if (user.state === 'gone') return;
    if (user.state === 'waiting') {
      this.#note(user, kind, atMs, this.#clock.nowMs(), { type: 'skipped' }, 0, 0);
      return;
    }
    if (user.state === 'out') {
      // The log-in before this one failed; whoever wants to work tries it again.
      await this.#login(user, atMs);
      return;
    }
    const { session } = user;
    const reply =
      kind === 'read'
        ? await this.#send(user, kind, atMs, 'GET', '/whoami', null)
        : kind === 'grow'
          ? await this.#send(user, kind, atMs, 'POST', '/set', JSON.stringify({ key: 'grown', size }), size)
          : await this.#send(user, kind, atMs, 'POST', '/inc', '{}');
    const isOut = reply.type === 'complete' && reply.status === 401;
    if (!isOut || !this.#plan.logsInAgain || user.session !== session || user.state !== 'in') return;
    user.wasLost = true;
    user.state = 'out';
    await this.#login(user, this.#clock.nowMs());
  }

  async #leave(user: User, atMs: number): Promise<void> {
    if (user.state !== 'in') return;
    user.state = 'gone';
    const leaving = this.#send(user, 'logout', atMs, 'POST', '/logout', '{}');
    // Whoever comes next does not wait for the answer, and must not lose its own cookies to it.
    user.jar = new CookieJar();
    await leaving;
  }

  async #login(user: User, atMs: number): Promise<void> {
    user.state = 'waiting';
    user.session += 1;
    const body = JSON.stringify({ user: `user${user.index + 1}`, password: DEMO_PASSWORD });
    const reply = await this.#send(user, 'login', atMs, 'POST', '/login', body);
    const isIn = reply.type === 'complete' && reply.status === 200;
    user.state = isIn ? 'in' : 'out';
    if (isIn) user.wasLost = false;
    if (this.#newcomers.delete(user) && this.#newcomers.size === 0) this.#onAllIn();
  }

  async #send(
    user: User,
    kind: Kind,
    scheduledMs: number,
    method: 'GET' | 'POST',
    path: string,
    body: string | null,
    size = 0,
  ): Promise<Reply> {
    const { jar, session, wasLost } = user;
    const cookie = kind === 'replay' ? user.stolen : jar.header;
    const sentMs = this.#clock.nowMs();
    const headers = {
      ...user.headers,
      ...(cookie === '' ? {} : { cookie }),
      ...(body === null ? {} : { 'content-type': 'application/json' }),
    };
    const reply = await this.#target.send(method, path, headers, body);
    // A copy of the cookie is used by somebody else: what it brings does not reach the user's own jar. And an answer
    // to a session that is over must not overwrite the next one's cookie.
    if (reply.type === 'complete' && kind !== 'replay' && user.session === session) jar.keep(reply.setCookie);
    this.transcript.push({
      user: user.index,
      session,
      kind,
      scheduledMs,
      sentMs,
      endedMs: this.#clock.nowMs(),
      outcome: outcomeOf(reply),
      cookieBytes: cookie.length,
      sessionBytes: kind === 'grow' ? grownBytes(size) : 0,
      isForced: kind === 'login' && wasLost,
    });
    return reply;
  }

  #note(
    { index, session }: User,
    kind: Kind,
    scheduledMs: number,
    endedMs: number,
    outcome: Outcome,
    cookieBytes: number,
    sessionBytes: number,
  ): void {
    this.transcript.push({
      user: index,
      session,
      kind,
      scheduledMs,
      sentMs: endedMs,
      endedMs,
      outcome,
      cookieBytes,
      sessionBytes,
      isForced: false,
    });
  }
}

function outcomeOf(reply: Reply): Outcome {
  if (reply.type === 'failed') return reply;
  const { type, status, server, counter } = reply;
  return { type, status, server, counter };
}
