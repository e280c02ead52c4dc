// The old process's side of a takeover: makes an offer to each successor that comes, and steps back for the first that is
// ready. See directory.ts for the steps.

import { createServer, type Server } from 'node:net';
import type { TakeoverResult } from '../../admin/source.ts';
import { duplicateSockets, type Offer, offerSockets, type PassedSocket } from '../../base/pass-sockets.ts';
import type { SessionChanges } from '../../sessions/changes.ts';
import type { Balancer } from '../balancer.ts';
import { type Handover, HandoverDirectory, type OfferDirectory, STEP_MS } from './directory.ts';
import { TELL_AGAIN_MS } from './inherited.ts';
import { type Answer, ChangesTeller, Told } from './session-channel.ts';

/** A successor that is not ready after so long does not come any more. */
const READY_MS = 60_000;
/** Successors at once: each costs a copy of what is in the session table. */
const OFFERS_MAX = 4;

/** What is kept ready for one successor. */
interface Offered {
  readonly directory: OfferDirectory;
  readonly sockets: Offer;
  readonly changes: SessionChanges;
  readonly handover: Handover;
}

/** The door, open since somebody has asked where it is. */
interface Door {
  readonly directory: HandoverDirectory;
  readonly server: Server;
}

export class Predecessor {
  readonly #balancer: Balancer;
  readonly #tellers = new Set<ChangesTeller>();
  #adminUrl = '';
  #door: Promise<Door> | null = null;
  /** The last that was ready: those after it wait until it has taken over or has failed. */
  #turn: Promise<void> = Promise.resolve();
  /** Being stepped back for, or having taken over. */
  #heir: ChangesTeller | null = null;
  #isReplaced = false;
  /** What the heir has been told. */
  #changes: SessionChanges | null = null;
  #telling: NodeJS.Timeout | null = null;
  #onReplaced: (() => void) | null = null;
  /** Resolves when a successor serves and this process should finish and leave. */
  readonly replaced: Promise<void>;

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
    this.replaced = new Promise((resolve) => {
      this.#onReplaced = resolve;
    });
  }

  /** Where a successor may ask. Grants nothing: only this user can go there. However often it is asked, it is one place. */
  async answer(adminUrl: string): Promise<TakeoverResult> {
    const why = this.#refusal();
    if (why !== null) return refuse(why);
    this.#adminUrl = adminUrl;
    try {
      return { ok: true, directory: (await this.#openDoor()).directory.path };
    } catch (error) {
      this.#balancer.options.log.error({ error: String(error) }, 'no other process can take over');
      return refuse(`this process cannot be reached by another: ${String(error)}`);
    }
  }

  /** Null: there is no reason to refuse. */
  #refusal(): string | null {
    if (this.#isReplaced) return 'another process has taken over meanwhile';
    return this.#balancer.isStopping ? 'this process is ending already' : null;
  }

  async #openDoor(): Promise<Door> {
    const door = await this.#door?.catch(() => null);
    // what cleans up temporary files may have removed it
    if (door?.directory.isThere === true) return door;
    if (door !== undefined && door !== null) close(door);
    this.#door = this.#makeDoor();
    return this.#door;
  }

  async #makeDoor(): Promise<Door> {
    const directory = HandoverDirectory.make();
    const server = createServer((socket) => void this.#serve(new ChangesTeller(socket), directory));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(directory.changesSocket, resolve);
    });
    return { directory, server };
  }

  /** One successor, from its first word on. */
  async #serve(teller: ChangesTeller, place: HandoverDirectory): Promise<void> {
    const { log } = this.#balancer.options;
    const why =
      this.#tellers.size < OFFERS_MAX ? this.#refusal() : `${OFFERS_MAX} others are about to take over`;
    if (why !== null) {
      teller.refuse(why);
      return;
    }
    this.#tellers.add(teller);
    let offered: Offered | null = null;
    try {
      offered = await this.#offer(place);
      log.info('another process has asked to take over');
      await this.#await(teller, offered);
    } catch (error) {
      log.error(
        { error: String(error) },
        'another process has asked to take over; nothing can be passed to it',
      );
      teller.refuse(`this process cannot pass on what it has: ${String(error)}`);
    }
    offered?.sockets.close();
    offered?.directory.remove();
    this.#tellers.delete(teller);
  }

  async #offer(place: HandoverDirectory): Promise<Offered> {
    const directory = place.makeOffer();
    const listening = this.#balancer.fleet.sockets;
    let sockets: Offer | null = null;
    try {
      sockets = await offerSockets(directory.listenersSocket, listening);
      const { revision, ports, secret } = this.#balancer;
      const listeners = revision.config.listen.map(({ address }, index) => ({
        address,
        port: ports[index] ?? 0,
      }));
      const changes = this.#balancer.watchSessions();
      const saved = this.#balancer.saveTo(directory.sessionsFile);
      if (saved.kind === 'failed') throw new Error(`saving the sessions: ${saved.message}`);
      const handover: Handover = {
        version: 3,
        pid: process.pid,
        secret,
        ticketKey: this.#balancer.certificates.ticketKey,
        listeners,
        sockets: listening.length,
        adminUrl: this.#adminUrl,
        directory: directory.path,
      };
      return { directory, sockets, changes, handover };
    } catch (error) {
      sockets?.close();
      directory.remove();
      throw error;
    }
  }

  /** Until it is ready nothing changes; then it is its turn. */
  async #await(teller: ChangesTeller, offered: Offered): Promise<void> {
    const how = await teller.tell(Told.offer, Buffer.from(JSON.stringify(offered.handover)), READY_MS);
    if (how !== 'done') {
      const { log } = this.#balancer.options;
      log.warn(
        `the process that asked to take over ${GIVEN_UP[how]} before it was ready: nothing has changed`,
      );
      teller.refuse('it took too long');
      return;
    }
    const before = this.#turn;
    const mine = before.then(() => this.#stepBack(teller, offered));
    this.#turn = mine.catch(() => undefined);
    await mine;
  }

  /** Step 1, and then either step 2 or back. */
  async #stepBack(teller: ChangesTeller, { directory, changes }: Offered): Promise<void> {
    const balancer = this.#balancer;
    const why = this.#refusal();
    if (why !== null) {
      teller.refuse(why);
      return;
    }
    const own = await duplicateSockets(directory.ownSocket, balancer.fleet.sockets);
    balancer.options.log.info('the next process is ready: stepping back');
    this.#heir = teller;
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    await balancer.pause(async (keys) => {
      // the successor listens as soon as it is told to: first it must hear of all that has been
      await begun;
      await teller.tell(Told.changes, balancer.encode(changes.of(keys, balancer.revision)));
    });
    const told = teller.tell(Told.changes, balancer.encode(changes.since(balancer.revision)), STEP_MS);
    begin();
    let how = await told;
    if (how === 'done') {
      teller.say(Told.listen);
      how = await teller.serves(STEP_MS);
    }
    if (how === 'done') await this.#leave(teller, own, changes);
    else await this.#takeBack(teller, own, how);
  }

  async #leave(teller: ChangesTeller, own: readonly PassedSocket[], changes: SessionChanges): Promise<void> {
    this.#isReplaced = true;
    for (const socket of own) socket.close();
    await this.#balancer.retire();
    teller.say(Told.left);
    this.#changes = changes;
    this.#telling = setInterval(() => void this.#tellAgain(), TELL_AGAIN_MS);
    this.#balancer.options.log.info('the next process serves: finishing what is in flight');
    this.#onReplaced?.();
  }

  /** What is still in use, and what has been until just now. */
  async #tellAgain(): Promise<void> {
    const changes = this.#changes?.since(this.#balancer.revision);
    if (changes !== undefined) await this.#heir?.tell(Told.changes, this.#balancer.encode(changes));
  }

  async #takeBack(
    teller: ChangesTeller,
    own: readonly PassedSocket[],
    how: Exclude<Answer, 'done'>,
  ): Promise<void> {
    this.#heir = null;
    teller.refuse('it took too long, and the old process has taken everything back');
    if (this.#balancer.isStopping) return;
    await this.#balancer.resume(own);
    this.#balancer.options.log.warn(
      `the process that was to take over ${GIVEN_UP[how]} before it served: this one goes on`,
    );
  }

  /** Finishes what is in flight. True when nothing had to be cut. */
  async finish(): Promise<boolean> {
    const isClean = await this.#balancer.finish();
    if (this.#telling !== null) clearInterval(this.#telling);
    await this.#tellAgain();
    this.#heir?.end();
    this.forget();
    return isClean;
  }

  /** We end, and no successor is expected (any more). One that is stepped back for hears nothing, and serves. */
  forget(): void {
    for (const teller of this.#tellers) if (teller !== this.#heir) teller.refuse('this process is ending');
    void this.#door?.then(close, () => undefined);
  }
}

const GIVEN_UP = { gone: 'has gone', silent: 'is silent' } as const;

function close({ directory, server }: Door): void {
  server.close();
  directory.remove();
}

function refuse(message: string): TakeoverResult {
  return { ok: false, code: 'conflict', message };
}
