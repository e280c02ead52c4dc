// The old process's side of a takeover: tells the next one what it needs, and steps back when that one is ready.

import { createServer, type Server, type Socket } from 'node:net';
import type { TakeoverResult } from '../admin/source.ts';
import { type Offer, offerSockets } from '../base/pass-sockets.ts';
import type { SessionChanges } from '../sessions/changes.ts';
import type { Balancer } from './balancer.ts';
import { ChangesTeller } from './changes-line.ts';
import { HandoverDirectory } from './handover.ts';

/** A successor that has not come for so long does not come any more: what was made for it goes. */
const WAIT_MS = 60_000;

/** What is kept ready for a successor. */
interface Offered {
  readonly directory: HandoverDirectory;
  readonly sockets: Offer;
  readonly changes: SessionChanges;
  readonly server: Server;
  readonly timer: NodeJS.Timeout;
}

export class Predecessor {
  readonly #balancer: Balancer;
  #offered: Offered | null = null;
  #isReplaced = false;
  #teller: ChangesTeller | null = null;
  #onReplaced: (() => void) | null = null;
  /** Resolves when a successor is about to listen and this process should finish and leave. */
  readonly replaced: Promise<void>;

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
    this.replaced = new Promise((resolve) => {
      this.#onReplaced = resolve;
    });
  }

  /** Makes ready what the next process needs; a later call makes it anew. */
  async answer(adminUrl: string): Promise<TakeoverResult> {
    const { log } = this.#balancer.options;
    if (this.#isReplaced || this.#balancer.isStopping) return refuse('this process is ending already');
    this.forget();
    try {
      this.#offered = await this.#offer(adminUrl);
    } catch (error) {
      log.error(
        { error: String(error) },
        'another process has asked to take over; nothing can be passed to it',
      );
      return refuse(`this process cannot pass on what it has: ${String(error)}`);
    }
    const { path } = this.#offered.directory;
    log.info({ directory: path }, 'another process has asked to take over');
    return { ok: true, directory: path };
  }

  async #offer(adminUrl: string): Promise<Offered> {
    const directory = HandoverDirectory.make();
    const listening = this.#balancer.fleet.sockets;
    let sockets: Offer | null = null;
    try {
      sockets = await offerSockets(directory.listenersSocket, listening);
      return await this.#fill(directory, listening.length, sockets, adminUrl);
    } catch (error) {
      sockets?.close();
      directory.remove();
      throw error;
    }
  }

  async #fill(
    directory: HandoverDirectory,
    count: number,
    sockets: Offer,
    adminUrl: string,
  ): Promise<Offered> {
    const { revision, ports, secret } = this.#balancer;
    const listeners = revision.config.listen.map(({ address }, index) => ({
      address,
      port: ports[index] ?? 0,
    }));
    const changes = this.#balancer.watchSessions();
    const saved = this.#balancer.saveTo(directory.sessionsFile);
    if (saved.kind === 'failed') throw new Error(`saving the sessions: ${saved.message}`);
    directory.write({ secret, listeners, sockets: count, adminUrl });
    const server = createServer((socket) => void this.#stepBack(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(directory.changesSocket, resolve);
    });
    const timer = setTimeout(() => this.forget(), WAIT_MS);
    return { directory, sockets, changes, server, timer };
  }

  /** The successor is ready: from here on nothing new is accepted. */
  async #stepBack(socket: Socket): Promise<void> {
    const balancer = this.#balancer;
    const offered = this.#offered;
    const teller = new ChangesTeller(socket);
    if (offered === null || this.#isReplaced || balancer.isStopping) {
      socket.destroy();
      return;
    }
    this.#isReplaced = true;
    this.#teller = teller;
    clearTimeout(offered.timer);
    const { changes } = offered;
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    await balancer.retire(async (keys) => {
      // the successor listens as soon as it has taken in anything: first it must hear of all that has been
      await begun;
      await teller.tell(balancer.encode(changes.of(keys, balancer.revision)));
    });
    offered.sockets.close();
    offered.server.close();
    const told = teller.tell(balancer.encode(changes.since(balancer.revision)));
    begin();
    await told;
    this.#onReplaced?.();
  }

  /** Finishes what is in flight. True when nothing had to be cut. */
  async finish(): Promise<boolean> {
    const isClean = await this.#balancer.finish();
    this.#teller?.end();
    this.#offered?.directory.remove();
    return isClean;
  }

  /** No successor is expected (any more): what was made for it goes. */
  forget(): void {
    const offered = this.#offered;
    this.#offered = null;
    if (offered === null) return;
    clearTimeout(offered.timer);
    offered.sockets.close();
    offered.server.close();
    offered.directory.remove();
  }
}

function refuse(message: string): TakeoverResult {
  return { ok: false, code: 'conflict', message };
}
