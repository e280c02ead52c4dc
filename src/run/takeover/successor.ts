// The new process's side of a takeover: asks the running one, fetches its listening sockets, and takes in what it still
// learns while it finishes.

import type { Log } from '../../base/log.ts';
import { fetchSockets, type PassedSocket } from '../../base/pass-sockets.ts';
import type { HoldfastConfig } from '../../config/model.ts';
import { StartError } from '../../control/start-error.ts';
import { readSessions, type StoredSessions } from '../../sessions/store.ts';
import { OfferDirectory, TakeoverDirectory, type TakeoverOffer } from './directory.ts';
import { strangerProblem } from './private-directory.ts';
import { ChangeReceiver } from './session-channel.ts';

const ASK_MS = 10_000;
/** How long an old process may take to make its offer: it keeps its sessions for it. */
const OFFER_MS = 30_000;
/** How long an old process may take to step back, or to let go. Its listening sockets are ours as well. */
const STEP_BACK_MS = 10_000;
const IS_SERVED_MS = 1000;

export class Successor {
  readonly offer: TakeoverOffer;
  readonly #directory: TakeoverDirectory;
  readonly #sockets: readonly PassedSocket[];
  readonly #url: string;
  readonly #channel: ChangeReceiver;
  readonly #log: Log;

  private constructor(
    offer: TakeoverOffer,
    directory: TakeoverDirectory,
    sockets: readonly PassedSocket[],
    url: string,
    channel: ChangeReceiver,
    log: Log,
  ) {
    this.offer = offer;
    this.#directory = directory;
    this.#sockets = sockets;
    this.#url = url;
    this.#channel = channel;
    this.#log = log;
  }

  /** Asks the process whose admin server is at `url`; '' is the configured address. Rejects with StartError. */
  static async ask(config: HoldfastConfig, url: string, log: Log): Promise<Successor> {
    const { admin } = config;
    if (admin === null)
      throw new StartError('cannot take over: "admin" is off, and it is what the processes talk by');
    const base = url === '' ? adminUrlOf(admin) : url.replace(/\/$/, '');
    const directory = new TakeoverDirectory(await post(base, admin.token));
    const problem = strangerProblem(directory.path);
    if (problem !== null) throw new StartError(`cannot take over from ${base}: ${problem}`);
    // connecting there would make it step back at once
    if (directory.isOfOldVersion)
      throw new StartError(`cannot take over from ${base}: it is of another version; stop it instead`);
    const channel = new ChangeReceiver(directory.changesSocket);
    try {
      const offer = await offerOf(channel, base);
      const sockets = await fetchSockets(new OfferDirectory(offer.directory).listenersSocket, offer.sockets);
      return new Successor(offer, directory, sockets, base, channel, log);
    } catch (error) {
      channel.end();
      if (error instanceof StartError) throw error;
      throw new StartError(`cannot take over the listening sockets: ${(error as Error).message}`);
    }
  }

  /** Keys cookies and session hashes of pools that configure no secret. */
  get secret(): string {
    return this.offer.secret;
  }

  /** Where it keeps its sessions: FormerProcess. */
  get sessionsFile(): string | null | undefined {
    return this.offer.sessionsFile;
  }

  /** Port that the old process has for the listener with this address, null when it has none. */
  portOf(address: string): number | null {
    return this.offer.listeners.find((listener) => listener.address === address)?.port ?? null;
  }

  /** The sessions of the old process, as of the beginning. */
  readSessions(sessionsMax: number): StoredSessions {
    const stored = readSessions(new OfferDirectory(this.offer.directory).sessionsFile, sessionsMax);
    if (stored.kind === 'damaged')
      this.#log.error({}, `the sessions of the old process are not understood: ${stored.message}`);
    return stored;
  }

  /**
   * Makes the old process step back. Resolves with the sockets to listen on, at once, when its last sessions have been
   * taken in; `serves` is to follow. If the old process has died meanwhile or hangs, we have its sockets all the same.
   * Rejects with StartError when it lives and expects us no more.
   */
  async activate(
    config: HoldfastConfig,
    applyChanges: (changes: Buffer) => Promise<void>,
  ): Promise<readonly PassedSocket[]> {
    const channel = this.#channel;
    channel.applyChanges = applyChanges;
    this.#log.info({ pid: this.offer.pid }, 'ready to take over: the old process is to step back');
    const how = await channel.ready(STEP_BACK_MS);
    // an old process that answers others has not died and does not hang
    if (how !== 'done' && (channel.refusal !== null || (await isServed(this.#url)))) throw this.#refused();
    if (how !== 'done') this.#warn();
    const isWanted = (socket: PassedSocket): boolean =>
      config.listen.some(({ address }) => address === socket.address);
    for (const socket of this.#sockets) if (!isWanted(socket)) socket.close();
    return this.#sockets.filter(isWanted);
  }

  /** We listen. Resolves when the old process has let go; rejects with StartError when it has taken everything back. */
  async serves(): Promise<void> {
    const channel = this.#channel;
    const how = await channel.serves(STEP_BACK_MS);
    if (channel.refusal !== null) throw this.#refused();
    if (how === 'done')
      this.#log.info({ pid: this.offer.pid }, 'took over: the old process finishes what is in flight');
    else this.#warn();
    void channel.over.then(() => this.#directory.remove());
  }

  #refused(): StartError {
    const why = this.#channel.refusal ?? 'it lives, but does not step back for this process';
    return new StartError(`cannot take over from ${this.#url}: ${why}`);
  }

  #warn(): void {
    const { pid } = this.offer;
    this.#log.warn(
      { pid },
      'the old process has gone without a word: its sessions are those of a moment ago',
    );
  }

  /** Resolves when the old process has ended. */
  get over(): Promise<void> {
    return this.#channel.over;
  }

  /** We end: what the old process still learns is told to nobody. */
  end(): void {
    this.#channel.end();
  }
}

/** Rejects with StartError when it does not come. */
async function offerOf(channel: ChangeReceiver, base: string): Promise<TakeoverOffer> {
  const how = await channel.awaitOffer(OFFER_MS);
  if (how === 'done' && channel.offer !== null) {
    const offer = JSON.parse(channel.offer.toString()) as TakeoverOffer;
    if (offer.version === 3) return offer;
    throw new StartError(`cannot take over from ${base}: it is of another version`);
  }
  const why = how === 'silent' ? 'it does not answer' : 'it has ended meanwhile';
  throw new StartError(`cannot take over from ${base}: ${channel.refusal ?? why}`);
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
