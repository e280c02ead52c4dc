// The new process's side of a takeover: asks the running one, fetches its listening sockets, and takes in what it still
// learns while it finishes.

import { fetchSockets, type ListeningSocket, type PassedSocket } from '../../base/pass-sockets.ts';
import type { HoldfastConfig } from '../../config/model.ts';
import { StartError } from '../../control/start-error.ts';
import { readSessions, type StoredSessions } from '../../sessions/store.ts';
import type { Logger } from '../logger.ts';
import { type Handover, HandoverDirectory, OfferDirectory } from './directory.ts';
import { strangerProblem } from './private-directory.ts';
import { ChangesHearer } from './session-channel.ts';

const ASK_MS = 10_000;
/** How long an old process may take to make its offer: it keeps its sessions for it. */
const OFFER_MS = 30_000;
/** How long an old process may take to step back, or to let go. Its listening sockets are ours as well. */
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
  readonly #line: ChangesHearer;

  private constructor(
    handover: Handover,
    directory: HandoverDirectory,
    sockets: readonly PassedSocket[],
    url: string,
    line: ChangesHearer,
  ) {
    this.handover = handover;
    this.#directory = directory;
    this.#sockets = sockets;
    this.#url = url;
    this.#line = line;
  }

  /** Asks the process whose admin server is at `url`; '' is the configured address. Rejects with StartError. */
  static async ask(config: HoldfastConfig, url: string): Promise<Takeover> {
    const { admin } = config;
    if (admin === null)
      throw new StartError('cannot take over: "admin" is off, and it is what the processes talk by');
    const base = url === '' ? adminUrlOf(admin) : url.replace(/\/$/, '');
    const directory = new HandoverDirectory(await post(base, admin.token));
    const problem = strangerProblem(directory.path);
    if (problem !== null) throw new StartError(`cannot take over from ${base}: ${problem}`);
    // connecting there would make it step back at once
    if (directory.isOfOldVersion)
      throw new StartError(`cannot take over from ${base}: it is of another version; stop it instead`);
    const line = new ChangesHearer(directory.changesSocket);
    try {
      const handover = await offerOf(line, base);
      const sockets = await fetchSockets(
        new OfferDirectory(handover.directory).listenersSocket,
        handover.sockets,
      );
      return new Takeover(handover, directory, sockets, base, line);
    } catch (error) {
      line.end();
      if (error instanceof StartError) throw error;
      throw new StartError(`cannot take over the listening sockets: ${(error as Error).message}`);
    }
  }

  /** Port that the old process has for the listener with this address, null when it has none. */
  portOf(address: string): number | null {
    return this.handover.listeners.find((listener) => listener.address === address)?.port ?? null;
  }

  /** The sessions of the old process, as of the beginning. */
  readSessions(sessionsMax: number, log: Logger): StoredSessions {
    const stored = readSessions(new OfferDirectory(this.handover.directory).sessionsFile, sessionsMax);
    if (stored.kind === 'damaged')
      log.error(`the sessions of the old process are not understood: ${stored.message}`);
    return stored;
  }

  /**
   * Makes the old process step back. Resolves with the sockets to listen on, at once, when its last sessions have been
   * taken in; `serves` is to follow. If the old process has died meanwhile or hangs, we have its sockets all the same.
   * Rejects with StartError when it lives and expects us no more.
   */
  async stepIn(config: HoldfastConfig, balancer: Heir, log: Logger): Promise<readonly ListeningSocket[]> {
    const line = this.#line;
    line.takeIn = (bytes) => balancer.takeIn(bytes);
    log.info({ pid: this.handover.pid }, 'ready to take over: the old process is to step back');
    const how = await line.ready(STEP_BACK_MS);
    // an old process that answers others has not died and does not hang
    if (how !== 'done' && (line.refusal !== null || (await isServed(this.#url)))) throw this.#refused();
    if (how !== 'done') this.#warn(log);
    const isWanted = (socket: PassedSocket): boolean =>
      config.listen.some(({ address }) => address === socket.address);
    for (const socket of this.#sockets) if (!isWanted(socket)) socket.close();
    return this.#sockets.filter(isWanted);
  }

  /** We listen. Resolves when the old process has let go; rejects with StartError when it has taken everything back. */
  async serves(log: Logger): Promise<void> {
    const line = this.#line;
    const how = await line.serves(STEP_BACK_MS);
    if (line.refusal !== null) throw this.#refused();
    if (how === 'done')
      log.info({ pid: this.handover.pid }, 'took over: the old process finishes what is in flight');
    else this.#warn(log);
    void line.over.then(() => this.#directory.remove());
  }

  #refused(): StartError {
    const why = this.#line.refusal ?? 'it lives, but does not step back for this process';
    return new StartError(`cannot take over from ${this.#url}: ${why}`);
  }

  #warn(log: Logger): void {
    const { pid } = this.handover;
    log.warn({ pid }, 'the old process has gone without a word: its sessions are those of a moment ago');
  }

  /** Resolves when the old process has ended. */
  get over(): Promise<void> {
    return this.#line.over;
  }

  /** We end: what the old process still learns is told to nobody. */
  end(): void {
    this.#line.end();
  }
}

/** Rejects with StartError when it does not come. */
async function offerOf(line: ChangesHearer, base: string): Promise<Handover> {
  const how = await line.asked(OFFER_MS);
  if (how === 'done' && line.offer !== null) {
    const handover = JSON.parse(line.offer.toString()) as Handover;
    if (handover.version === 3) return handover;
    throw new StartError(`cannot take over from ${base}: it is of another version`);
  }
  const why = how === 'silent' ? 'it does not answer' : 'it has ended meanwhile';
  throw new StartError(`cannot take over from ${base}: ${line.refusal ?? why}`);
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
    throw new StartError(
      `cannot take over from ${base}: ${cause instanceof Error ? cause.message : String(error)}; is a balancer running there, with its admin server on?`,
    );
  }
  const answer = (await response.json().catch(() => null)) as {
    readonly directory?: string;
    readonly error?: { readonly message?: string };
  } | null;
  if (response.ok && typeof answer?.directory === 'string') return answer.directory;
  throw new StartError(
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
