// The new process's side of a takeover: asks the running one, fetches its listening sockets, and takes in what it still
// learns while it finishes.

import { fetchSockets, type ListeningSocket, type PassedSocket } from '../base/pass-sockets.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { readSessions, type StoredSessions } from '../sessions/store.ts';
import { type ChangesHearer, hearChanges } from './changes-line.ts';
import { type Handover, HandoverDirectory } from './handover.ts';
import type { Logger } from './logger.ts';
import { ListenError } from './ports.ts';

const ASK_MS = 10_000;
/** How long an old process may take to step back. Its listening sockets are ours as well: nothing is lost meanwhile. */
const STEP_BACK_MS = 10_000;
const IS_SERVED_MS = 1000;

/** The part of the new balancer that is needed here. */
export interface Heir {
  /** Takes in how it stands with sessions, but for those that this process has seen since it listens. */
  takeIn(changes: Buffer): Promise<void>;
}

export class Takeover {
  readonly handover: Handover;
  readonly #directory: HandoverDirectory;
  readonly #sockets: readonly PassedSocket[];
  readonly #url: string;
  #line: ChangesHearer | null = null;

  private constructor(
    handover: Handover,
    directory: HandoverDirectory,
    sockets: readonly PassedSocket[],
    url: string,
  ) {
    this.handover = handover;
    this.#directory = directory;
    this.#sockets = sockets;
    this.#url = url;
  }

  /** Asks the process whose admin server is at `url`; '' is the configured address. Rejects with ListenError. */
  static async ask(config: HoldfastConfig, url: string): Promise<Takeover> {
    const { admin } = config;
    if (admin === null)
      throw new ListenError('cannot take over: "admin" is off, and it is what the processes talk by');
    const base = url === '' ? adminUrlOf(admin) : url.replace(/\/$/, '');
    const directory = new HandoverDirectory(await post(base, admin.token));
    const handover = directory.read();
    if (handover === null)
      throw new ListenError(
        `cannot take over: ${directory.path} cannot be read by this user, or is of another version`,
      );
    try {
      const sockets = await fetchSockets(directory.listenersSocket, handover.sockets);
      return new Takeover(handover, directory, sockets, base);
    } catch (error) {
      throw new ListenError(`cannot take over the listening sockets: ${(error as Error).message}`);
    }
  }

  /** Port that the old process has for the listener with this address, null when it has none. */
  portOf(address: string): number | null {
    return this.handover.listeners.find((listener) => listener.address === address)?.port ?? null;
  }

  /** The sessions of the old process, as of the beginning. */
  readSessions(sessionsMax: number, log: Logger): StoredSessions {
    const stored = readSessions(this.#directory.sessionsFile, sessionsMax);
    if (stored.kind === 'damaged')
      log.error(`the sessions of the old process are not understood: ${stored.message}`);
    return stored;
  }

  /**
   * Makes the old process step back. Resolves with the sockets to listen on, at once, when its last sessions have been
   * taken in. If the old process has died meanwhile or hangs, we have its sockets all the same. Rejects with ListenError
   * when it lives and expects us no more.
   */
  async stepIn(config: HoldfastConfig, balancer: Heir, log: Logger): Promise<readonly ListeningSocket[]> {
    const { pid } = this.handover;
    const changes = hearChanges(this.#directory.changesSocket, STEP_BACK_MS, (bytes) =>
      balancer.takeIn(bytes),
    );
    this.#line = changes;
    const how = await changes.first;
    if (how === 'closed' && (await isServed(this.#url)))
      throw new ListenError(`cannot take over from ${this.#url}: it expects this process no more`);
    if (how === 'taken-in') log.info({ pid }, 'took over: the old process finishes what is in flight');
    else log.warn({ pid }, 'the old process has gone without a word: its sessions are those of a moment ago');
    void changes.over.then(() => this.#directory.remove());
    const isWanted = (socket: PassedSocket): boolean =>
      config.listen.some(({ address }) => address === socket.address);
    for (const socket of this.#sockets) if (!isWanted(socket)) socket.close();
    return this.#sockets.filter(isWanted);
  }

  /** Resolves when the old process has ended. */
  get over(): Promise<void> {
    return this.#line?.over ?? Promise.resolve();
  }

  /** We end: what the old process still learns is told to nobody. */
  end(): void {
    this.#line?.end();
  }
}

function adminUrlOf({ host, port }: { readonly host: string; readonly port: number }): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** Resolves with the directory. */
async function post(base: string, token: string): Promise<string> {
  const headers = {
    'content-type': 'application/json',
    ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
  };
  let response: Response;
  try {
    const signal = AbortSignal.timeout(ASK_MS);
    response = await fetch(`${base}/api/takeover`, {
      method: 'POST',
      headers,
      body: '{}',
      signal,
    });
  } catch (error) {
    const { cause } = error as Error;
    throw new ListenError(
      `cannot take over from ${base}: ${cause instanceof Error ? cause.message : String(error)}; is a balancer running there, with its admin server on?`,
    );
  }
  const answer = (await response.json().catch(() => null)) as {
    readonly directory?: string;
    readonly error?: { readonly message?: string };
  } | null;
  if (response.ok && typeof answer?.directory === 'string') return answer.directory;
  throw new ListenError(
    `cannot take over from ${base}: ${answer?.error?.message ?? `status ${response.status}`}`,
  );
}

/** Whether the admin server there answers. */
async function isServed(base: string): Promise<boolean> {
  try {
    return (await fetch(`${base}/healthz`, { signal: AbortSignal.timeout(IS_SERVED_MS) })).ok;
  } catch {
    return false;
  }
}
