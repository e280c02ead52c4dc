// One connection to the store at a time, for commands and notices alike, so that both come in the order in which the
// store made them. It is replaced when it breaks or is silent; nothing is queued for the next one.
//
//   down --attempt--> connecting --subscribed, scripts loaded, may tell--> up --error, silent, not a primary--> down (waits, tries again)
import type { Scheduled, Scheduler } from '../base/scheduler.ts';
import { SCRIPTS } from './scripts.ts';

/** A connection as the package `redis` makes it; of its clients only this is used. */
export interface RedisConnection {
  connect(): Promise<unknown>;
  destroy(): unknown;
  sendCommand(args: readonly string[]): Promise<unknown>;
  subscribe(channel: string, listener: (message: string, channel: string) => unknown): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

/** What createClient() of the package `redis` returns. It is copied, and need not be connected. */
export interface RedisClient {
  readonly options?: object;
  duplicate(overrides?: object): RedisConnection;
  destroy(): unknown;
}

/** A client; or what makes one for each connection, where the store's address changes (Sentinel). */
export type RedisSource = RedisClient | (() => RedisClient | Promise<RedisClient>);

export interface ConnectionParts {
  readonly source: RedisSource;
  readonly channel: string;
  readonly scheduler: Scheduler;
  /**
   * `run` tells one process of the store from the next, null where it may not be asked. `mayHaveMissed`: the store may have
   * gone on without this server, and had notices for it.
   */
  readonly onUp: (run: string | null, mayHaveMissed: boolean) => void;
  readonly onDown: () => void;
  readonly onNotice: (message: string) => void;
  /** Why there is no connection, or what the store has refused. */
  readonly onTrouble: (error: Error) => void;
}

/** How long the store may take until a new connection can be used. */
const ATTEMPT_MS = 2000;
/**
 * A connection on which something is awaited and nothing comes in so many looks, one a second, is replaced. Looks are counted
 * and not time: when this process stood still, what has come is read only after the timer.
 */
const SILENT_LOOKS_MAX = 5;
const LOOK_MS = 1000;
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 500;

export class StoreConnection {
  readonly #parts: ConnectionParts;
  #client: RedisConnection | null = null;
  /** Of the connection; what belongs to an earlier one is not heard. */
  #number = 0;
  #isUp = false;
  #isEnded = false;
  #pauseMs = PAUSE_MS_MIN;
  #awaited = 0;
  #hasHeard = true;
  /** At the first attempt after a connection broke, nobody listened there any more; null until it has been made. */
  #wasGone: boolean | null = null;
  #timer: Scheduled | null = null;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  begin(): void {
    void this.#attempt();
  }

  end(): void {
    this.#isEnded = true;
    this.#isUp = false;
    this.#timer?.cancel();
    this.#drop();
  }

  /** Sends a command; rejects when the store refuses it or the connection breaks. */
  async send(args: readonly string[]): Promise<unknown> {
    const client = this.#client;
    if (client === null || !this.#isUp) throw new Error('the store is not connected');
    const number = this.#number;
    this.#awaited += 1;
    try {
      return await client.sendCommand(args);
    } finally {
      if (number === this.#number) {
        this.#awaited -= 1;
        this.#hasHeard = true;
      }
    }
  }

  /** The connection is of no use: the next one, please. */
  replace(error: Error): void {
    this.#broke(this.#number, error);
  }

  async #attempt(): Promise<void> {
    this.#number += 1;
    const number = this.#number;
    const { channel, scheduler, onUp, onNotice } = this.#parts;
    this.#timer = scheduler.after(ATTEMPT_MS, () =>
      this.#broke(number, new Error(`the store did not answer within ${ATTEMPT_MS} ms`)),
    );
    try {
      const client = await this.#make();
      if (number !== this.#number || this.#isEnded) {
        destroy(client);
        return;
      }
      this.#client = client;
      client.on('error', (error) => this.#broke(number, error));
      await client.connect();
      await client.subscribe(channel, (message) => {
        if (number === this.#number && this.#isUp) onNotice(message);
      });
      for (const { text } of Object.values(SCRIPTS)) await client.sendCommand(['SCRIPT', 'LOAD', text]);
      // who may not tell others would take sessions whose homes hear nothing of it
      await client.sendCommand(['PUBLISH', channel, '']);
      const run = await runOf(client);
      if (number !== this.#number || this.#isEnded) return;
      this.#isUp = true;
      this.#awaited = 0;
      this.#pauseMs = PAUSE_MS_MIN;
      this.#timer.cancel();
      this.#watch(number, 0);
      onUp(run, this.#wasGone !== true);
    } catch (error) {
      this.#broke(number, error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #make(): Promise<RedisConnection> {
    const { source } = this.#parts;
    const isMaker = typeof source === 'function';
    const template = isMaker ? await source() : source;
    const { socket } = (template.options ?? {}) as { readonly socket?: object };
    const connection = template.duplicate({
      RESP: 3,
      socket: { ...socket, reconnectStrategy: false, connectTimeout: ATTEMPT_MS },
      disableOfflineQueue: true,
      commandsQueueMaxLength: undefined,
      commandOptions: undefined,
      clientSideCache: undefined,
      emitInvalidate: undefined,
    });
    if (isMaker) destroy(template);
    return connection;
  }

  #watch(number: number, silentLooks: number): void {
    this.#hasHeard = this.#awaited === 0;
    this.#timer = this.#parts.scheduler.after(LOOK_MS, () => {
      const looks = this.#hasHeard ? 0 : silentLooks + 1;
      if (looks < SILENT_LOOKS_MAX) this.#watch(number, looks);
      else this.#broke(number, new Error(`the store has not answered for ${SILENT_LOOKS_MAX} s`));
    });
  }

  #broke(number: number, error: Error): void {
    if (number !== this.#number || this.#isEnded) return;
    this.#number += 1;
    const wasUp = this.#isUp;
    this.#isUp = false;
    this.#timer?.cancel();
    this.#timer = this.#parts.scheduler.after(this.#pauseMs, () => void this.#attempt());
    this.#pauseMs = Math.min(PAUSE_MS_MAX, this.#pauseMs * 2);
    // where the store was silent before, it may have gone on for others, and died later
    if (wasUp) this.#wasGone = this.#hasHeard ? null : false;
    else this.#wasGone ??= isRefused(error);
    if (wasUp) this.#parts.onDown();
    this.#drop();
    this.#parts.onTrouble(error);
  }

  /** Whoever waits for an answer hears that none comes. */
  #drop(): void {
    const client = this.#client;
    this.#client = null;
    if (client !== null) destroy(client);
  }
}

async function runOf(client: RedisConnection): Promise<string | null> {
  const text = await client.sendCommand(['INFO', 'server']).catch(() => '');
  return /run_id:(\w+)/.exec(String(text))?.[1] ?? null;
}

function isRefused(error: Error): boolean {
  return 'code' in error && error.code === 'ECONNREFUSED';
}

function destroy(client: { destroy(): unknown }): void {
  try {
    client.destroy();
  } catch {
    // It was never connected, or is closed already.
  }
}
