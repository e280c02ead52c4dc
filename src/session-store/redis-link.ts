// The way to a Redis or Valkey: operations become calls of scripts, replies become outcomes, messages become notices.
import { messageOf } from '../base/message-of.ts';
import type { Operation, Outcome, StoreLink } from './operations.ts';
import { SCRIPTS, type Script } from './scripts.ts';
import type { Sealing } from './sealing.ts';
import { type ConnectionParts, StoreConnection } from './store-connection.ts';

export interface RedisLinkParts extends Omit<ConnectionParts, 'channel' | 'onUp' | 'onNotice'> {
  /** Of all keys in the store. */
  readonly prefix: string;
  /** Names this process to the store, like no other ever. */
  readonly me: string;
  /** How long what an emptied store does not have is not taken for unknown. */
  readonly refillMs: number;
  /** How far ahead of the store's clock a claim can be good at most. */
  readonly claimMsMax: number;
  readonly sealing: Sealing;
  readonly onUp: (mayHaveMissed: boolean) => void;
  readonly onTaken: (key: string, tenure: number) => void;
  readonly onEnded: (key: string) => void;
}

/** A session in the store, or a tombstone. */
export interface StoredRecord {
  readonly key: string;
  readonly data: string | null;
  readonly hasEnded: boolean;
}

const AWAY: Outcome = { kind: 'failed', why: 'away' };
const FAILED: Outcome = { kind: 'failed', why: 'error' };
/**
 * Replies of a store that is not, or not yet, or no longer, the one that takes writes. Older ones put words before what
 * a script has met.
 */
const ELSEWHERE = /(^|-)(READONLY|LOADING|MASTERDOWN|MOVED|ASK|CLUSTERDOWN|NOAUTH|UNKILLABLE)\b/;
/** Of one that takes no write at all just now, whatever it is. */
const TAKES_NOTHING = /(^|-)(OOM|MISCONF|BUSY|NOREPLICAS|NOPERM)\b|\bOOM command not allowed/;
const SCAN_COUNT = '500';

export class RedisLink implements StoreLink {
  /** Records that could not be opened. */
  unreadable = 0;
  readonly #parts: RedisLinkParts;
  readonly #connection: StoreConnection;
  readonly #marker: string;
  #run: string | null = null;

  constructor(parts: RedisLinkParts) {
    this.#parts = parts;
    this.#marker = `${parts.prefix}set`;
    this.#connection = new StoreConnection({
      ...parts,
      channel: `${this.#marker}:${parts.me}`,
      onUp: (run, mayHaveMissed) => {
        this.#run = run;
        parts.onUp(mayHaveMissed);
      },
      onNotice: (message) => this.#noticed(message),
    });
  }

  get isUp(): boolean {
    return this.#connection.isUp;
  }

  begin(): void {
    this.#connection.begin();
  }

  end(): void {
    this.#connection.end();
  }

  send(operation: Operation, reply: (outcome: Outcome) => void): void {
    this.#carryOut(operation).then(
      (outcome) => reply(outcome),
      (error: unknown) => reply(this.#failed(error)),
    );
  }

  /** Makes a session of connect-redis one of ours, unless there is one already. Rejects where that is not known. */
  async adopt(key: string, oldKey: string, ttlMs: number): Promise<void> {
    try {
      await this.#call(SCRIPTS.adopt, [this.#record(key), this.#marker, oldKey], [String(ttlMs)]);
    } catch (error) {
      if (isOtherKind(error)) return;
      this.#failed(error);
      throw error;
    }
  }

  async remove(keys: readonly string[]): Promise<void> {
    await this.#connection.send(['DEL', ...keys]);
  }

  /** What the store has, page by page; `data` is null where that cannot be opened. One may come twice. */
  async *records(): AsyncGenerator<StoredRecord> {
    for await (const [key, fields] of this.#scan(`${this.#parts.prefix}s:`, ['HMGET'], ['d', 'x'])) {
      const [data, tombstone] = (fields ?? []) as (string | null)[];
      if (typeof tombstone === 'string') yield { key, data: null, hasEnded: true };
      else if (typeof data === 'string') yield { key, data: this.#open(data, key), hasEnded: false };
    }
  }

  /** Sessions of connect-redis, as `records`. */
  async *adoptable(prefix: string): AsyncGenerator<{ readonly id: string; readonly data: string }> {
    // others may keep what is theirs under that prefix
    for await (const [id, data] of this.#scan(prefix, ['GET']))
      if (typeof data === 'string' && isSession(data)) yield { id, data };
  }

  /** What a command says of each key that begins so, under the rest of its name; null for those of another kind. */
  async *#scan(
    begin: string,
    command: readonly string[],
    rest: readonly string[] = [],
  ): AsyncGenerator<readonly [name: string, reply: unknown]> {
    const pattern = `${begin.replace(/[*?[\]\\]/g, '\\$&')}*`;
    let cursor = '0';
    do {
      const page = await this.#connection.send(['SCAN', cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT]);
      const [next, found] = page as [unknown, unknown[]];
      cursor = String(next);
      const names = found.map(String);
      const replies = names.map((name) =>
        this.#connection.send([...command, name, ...rest]).catch((error: unknown) => {
          if (!isOtherKind(error)) throw error;
          return null;
        }),
      );
      for (const [index, reply] of (await Promise.all(replies)).entries())
        yield [(names[index] as string).slice(begin.length), reply];
    } while (cursor !== '0');
  }

  #record(key: string): string {
    return `${this.#parts.prefix}s:${key}`;
  }

  #open(data: string, key: string): string | null {
    const opened = this.#parts.sealing.open(data, key);
    if (opened !== null && isSession(opened)) return opened;
    this.unreadable += 1;
    return null;
  }

  async #carryOut(operation: Operation): Promise<Outcome> {
    const { me, refillMs, claimMsMax, sealing } = this.#parts;
    if (operation.kind === 'hello') {
      const [, dataSet, storeMs] = await this.#call(
        SCRIPTS.hello,
        [this.#marker, this.#marker],
        [me, String(refillMs), operation.isRefilling ? '1' : '0', this.#run ?? ''],
      );
      return { kind: 'hello', dataSet: String(dataSet), run: this.#run, storeMs: Number(storeMs) };
    }
    const keys = [this.#record(operation.key), this.#marker];
    const { key } = operation;
    switch (operation.kind) {
      case 'claim':
        return this.#claimed(
          key,
          await this.#call(SCRIPTS.claim, keys, [
            ...[me, String(refillMs), key],
            ...[String(operation.untilMs), String(claimMsMax)],
          ]),
        );
      case 'write': {
        const { tenure, version, data, lifeMs, isUnsure, dataSet, untilMs } = operation;
        const numbers = [String(tenure), String(version), sealing.seal(data, key), String(lifeMs)];
        const args = [
          me,
          String(refillMs),
          key,
          ...numbers,
          isUnsure ? '1' : '0',
          dataSet ?? '',
          String(untilMs),
        ];
        return changed(await this.#call(SCRIPTS.write, keys, args));
      }
      case 'touch': {
        const { tenure, version, lifeMs } = operation;
        return changed(
          await this.#call(SCRIPTS.touch, keys, [me, ...[refillMs, tenure, version, lifeMs].map(String)]),
        );
      }
      case 'destroy':
        return changed(await this.#call(SCRIPTS.destroy, keys, [me, key, String(operation.lifeMs)]));
    }
  }

  #claimed(key: string, reply: readonly unknown[]): Outcome {
    const [kind, tenure, version, sealed, lifeMs, from, before] = reply;
    if (kind === 'unknown' || kind === 'again' || kind === 'destroyed' || kind === 'late') return { kind };
    if (kind !== 'claimed') throw new Error(`a claim was answered with ${String(kind)}`);
    const data = this.#open(String(sealed), key);
    if (data === null)
      throw new Error('a session cannot be opened: another secret sealed it, or it was changed');
    const numbers = {
      tenure: Number(tenure),
      before: Number(before),
      version: Number(version),
      lifeMs: Number(lifeMs),
    };
    const rewrite = this.#parts.sealing.isAsSealed(String(sealed)) ? {} : { mustRewrite: true };
    return { kind, data, from: from === '' ? null : String(from), ...numbers, ...rewrite };
  }

  /** The store forgets scripts when it is told to, so their text is at hand. */
  async #call(script: Script, keys: readonly string[], args: readonly string[]): Promise<readonly unknown[]> {
    const rest = [String(keys.length), ...keys, ...args];
    const reply = await this.#connection.send(['EVALSHA', script.sha, ...rest]).catch((error: unknown) => {
      if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
      return this.#connection.send(['EVAL', script.text, ...rest]);
    });
    return reply as readonly unknown[];
  }

  /** An error of the store, or of the connection to it. */
  #failed(error: unknown): Outcome {
    if (!this.#connection.isUp) return AWAY;
    const message = messageOf(error);
    const told = error instanceof Error ? error : new Error(message);
    if (ELSEWHERE.test(message)) {
      this.#connection.replace(told);
      return AWAY;
    }
    this.#parts.onTrouble(told);
    return TAKES_NOTHING.test(message) ? { kind: 'failed', why: 'full' } : FAILED;
  }

  #noticed(message: string): void {
    const [kind, tenure, key] = message.split(' ', 3);
    if (key === undefined) return;
    if (kind === 'taken') this.#parts.onTaken(key, Number(tenure));
    else if (kind === 'ended') this.#parts.onEnded(key);
  }
}

/** Others keep something else under that name. Older stores say more before it. */
function isOtherKind(error: unknown): boolean {
  return /\bWRONGTYPE\b/.test(messageOf(error));
}

/** Others can change what is not sealed. */
function isSession(text: string): boolean {
  try {
    const session: unknown = JSON.parse(text);
    return typeof session === 'object' && session !== null;
  } catch {
    return false;
  }
}

function changed(reply: readonly unknown[]): Outcome {
  const [kind, tenure, version, unsure] = reply;
  if (kind === 'accepted') {
    const isUnsure = unsure === '1' ? ({ isUnsure: true } as const) : {};
    return { kind, tenure: Number(tenure), version: Number(version), ...isUnsure };
  }
  if (kind === 'stale') return { kind, tenure: Number(tenure) };
  if (kind === 'behind' || kind === 'destroyed' || kind === 'late') return { kind };
  throw new Error(`a change was answered with ${String(kind)}`);
}
