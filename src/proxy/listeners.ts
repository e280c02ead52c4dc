// The listeners of one thread, over revisions: opened, paused for a successor, retired, stopped.

import { closeSync } from 'node:fs';
import type { ListeningSocket } from '../base/pass-sockets.ts';
import type { ListenConfig } from '../config/model.ts';
import type { HeadLimits } from '../http1/message.ts';
import type { Revision } from '../shared/revision.ts';
import type { ListenerSecrets } from '../tls/contexts.ts';
import type { ListenerHome, Unfinished } from './connection-services.ts';
import { ListenerState } from './listener.ts';

export class Listeners {
  readonly #thread: ListenerHome;
  #open: ListenerState[] = [];
  #isPaused = false;
  /** Header fields that the parser has an eye on. */
  #watched: readonly string[] = [];

  constructor(thread: ListenerHome) {
    this.#thread = thread;
  }

  /** All, with those that have stopped and still have connections. */
  get all(): readonly ListenerState[] {
    return this.#open;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get hasConnections(): boolean {
    return this.#open.some((listener) => !listener.isEmpty);
  }

  /** Port of the first listener with TLS; 443 where there is none. */
  get httpsPort(): number {
    return (
      this.#open.find(
        ({ config, isStopping }) => config.tls !== null && config.socket === null && !isStopping,
      )?.port ?? 443
    );
  }

  /** Those that the revision no longer has stop. */
  apply({ config, secrets }: Revision, watched: readonly string[]): void {
    this.#watched = watched;
    for (const listener of this.#open) {
      const index = config.listen.findIndex(({ address }) => address === listener.config.address);
      const listen = config.listen[index];
      if (listen === undefined) listener.stop();
      else listener.configure(listen, this.#headLimits(listen), secrets?.[index] ?? null);
    }
  }

  /** What this thread listens on, for another process to listen on. */
  get sockets(): readonly ListeningSocket[] {
    return this.#open.flatMap((listener) => listener.sockets);
  }

  /**
   * Opens one listener of the revision, unless it is open: on the descriptors, or else bound. Resolves with its port. The
   * descriptors are closed where they are not needed: the kernel would go on giving connections to their sockets.
   */
  async listen(
    revision: Revision,
    index: number,
    port: number,
    reusePort: boolean,
    fds: readonly number[],
  ): Promise<number> {
    const config = revision.config.listen[index];
    if (config === undefined) throw new Error(`no listener ${index} in revision ${revision.number}`);
    const open = this.#open.find(
      (listener) => !listener.isStopping && listener.config.address === config.address,
    );
    // the revision was on its way already; what is paused opens all when it goes on
    if (open?.isPaused === false || this.#thread.isStopping || this.#isPaused) {
      for (const fd of fds) closeSync(fd);
      return open?.port ?? port;
    }
    const id = revision.listenerIds?.[index] ?? index;
    const listener = open ?? this.#add(id, config, revision.secrets?.[index] ?? null);
    return fds.length === 0 ? listener.listen(port, reusePort) : listener.adopt(fds);
  }

  #add(id: number, config: ListenConfig, secrets: ListenerSecrets | null): ListenerState {
    const listener = new ListenerState(id, config, this.#headLimits(config), this.#thread, secrets);
    this.#open = [...this.#open.filter((old) => !old.isStopping || !old.isEmpty), listener];
    return listener;
  }

  #headLimits({ limits }: ListenConfig): HeadLimits {
    return {
      headBytesMax: limits.headerBytes,
      headerCountMax: limits.headerCount,
      watched: this.#watched,
    };
  }

  /** Accepts nothing until `resume`, and then `listen`. */
  pause(): void {
    this.#isPaused = true;
    for (const listener of this.#open) listener.pause();
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** Another process has the sockets. Connections that are open may still ask, once. */
  retire(): void {
    for (const listener of this.#open) listener.retire();
  }

  /** No new connections; idle ones end, busy ones after their response. */
  stop(): void {
    for (const listener of this.#open) listener.stop();
  }

  /** The grace is over: tunnels and idle connections end politely, the rest is cut. Says what they were, one by one. */
  finish(): readonly Unfinished[] {
    return this.#open.flatMap((listener) => listener.finish());
  }

  /** At once. */
  destroy(): void {
    for (const listener of this.#open) {
      listener.stop();
      listener.destroy();
    }
  }
}
