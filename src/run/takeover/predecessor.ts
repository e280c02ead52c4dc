// The old process's side of a takeover: makes an offer to each successor that comes, and steps back for the first that is
// ready. See directory.ts for the steps.

import { createServer, type Server } from 'node:net';
import { resolve as resolvePath } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { TakeoverResult } from '../../admin/source.ts';
import { duplicateSockets, type Offer, offerSockets, type PassedSocket } from '../../base/pass-sockets.ts';
import type { HoldfastConfig } from '../../config/model.ts';
import type { SessionChanges } from '../../sessions/changes.ts';
import type { Balancer } from '../balancer.ts';
import { type OfferDirectory, STEP_MS, TakeoverDirectory, type TakeoverOffer } from './directory.ts';
import { SEND_AGAIN_MS } from './inherited.ts';
import { type Answer, ChangeSender, Message } from './session-channel.ts';

/** A successor that is not ready after so long does not come any more. */
const READY_MS = 60_000;
/** Successors at once: each costs a copy of what is in the session table. */
const OFFERS_MAX = 4;

/** What is kept ready for one successor. */
interface Offered {
  readonly directory: OfferDirectory;
  readonly door: Offer;
  /** Duplicates of what is listened on. Emptied when they are listened on again. */
  readonly sockets: PassedSocket[];
  /** What was configured then: another reload, and the successor may have read what is out of date. */
  readonly written: HoldfastConfig;
  readonly changes: SessionChanges;
  readonly offer: TakeoverOffer;
}

/** Where successors ask, since the first has been told the place. */
interface Entrance {
  readonly directory: TakeoverDirectory;
  readonly server: Server;
}

export class Predecessor {
  readonly #balancer: Balancer;
  readonly #senders = new Set<ChangeSender>();
  #adminUrl = '';
  #entrance: Promise<Entrance> | null = null;
  /** Being stepped back for, or having taken over. */
  #successor: ChangeSender | null = null;
  #isReplaced = false;
  /** What the successor has been sent. */
  #changes: SessionChanges | null = null;
  #sending: NodeJS.Timeout | null = null;
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
      return { ok: true, directory: (await this.#openEntrance()).directory.path };
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

  async #openEntrance(): Promise<Entrance> {
    const entrance = await this.#entrance?.catch(() => null);
    // what cleans up temporary files may have removed it
    if (entrance?.directory.isThere === true) return entrance;
    if (entrance !== undefined && entrance !== null) close(entrance);
    this.#entrance = this.#makeEntrance();
    return this.#entrance;
  }

  async #makeEntrance(): Promise<Entrance> {
    const directory = TakeoverDirectory.make();
    const server = createServer((socket) => void this.#serve(new ChangeSender(socket), directory));
    await new Promise<void>((resolve, reject) => {
      // also later, when a connection cannot be accepted: that successor asks again or gives up
      server.on('error', reject);
      server.listen(directory.changesSocket, resolve);
    });
    return { directory, server };
  }

  /** One successor, from its first word on. */
  async #serve(sender: ChangeSender, place: TakeoverDirectory): Promise<void> {
    const { log } = this.#balancer.options;
    const { revising } = this.#balancer.control;
    const why =
      this.#senders.size < OFFERS_MAX ? this.#refusal() : `${OFFERS_MAX} others are about to take over`;
    if (why !== null) {
      sender.refuse(why);
      return;
    }
    this.#senders.add(sender);
    let offered: Offered | null = null;
    try {
      // the next process goes on with an order that is under way, by what is stored of it now
      await this.#balancer.certificates.hold();
      offered = await revising.alone(() => this.#offer(place));
      log.info('another process has asked to take over');
      await this.#await(sender, offered);
    } catch (error) {
      log.error(
        { error: String(error) },
        'another process has asked to take over; nothing can be passed to it',
      );
      sender.refuse(`this process cannot pass on what it has: ${String(error)}`);
    }
    if (offered !== null) this.#withdraw(offered);
    this.#senders.delete(sender);
    if (this.#senders.size === 0 && !this.#isReplaced) this.#balancer.certificates.proceed();
  }

  /** From now on until it is withdrawn the listening sockets stay those that are offered. */
  async #offer(place: TakeoverDirectory): Promise<Offered> {
    const { fleet, control, ports, transfer, certificates } = this.#balancer;
    const { revision, secret, revising } = control;
    const directory = place.makeOffer();
    const sockets: PassedSocket[] = [];
    let door: Offer | null = null;
    try {
      // Descriptors of our own: a thread that dies meanwhile closes its, and the number is somebody's connection next.
      sockets.push(...(await duplicateSockets(directory.ownSocket, fleet.sockets)));
      for (const socket of sockets) fleet.offered.add(socket);
      door = await offerSockets(directory.listenersSocket, sockets);
      const changes = transfer.watch();
      transfer.saveTo(directory.sessionsFile);
      const offer: TakeoverOffer = {
        version: 3,
        pid: process.pid,
        secret,
        sessionsFile: control.keeper === null ? null : resolvePath(control.keeper.file),
        ticketKey: certificates.ticketKey,
        listeners: revision.config.listen.map(({ address }, index) => ({ address, port: ports[index] ?? 0 })),
        sockets: sockets.length,
        adminUrl: this.#adminUrl,
        directory: directory.path,
      };
      return { directory, door, sockets, written: revising.written, changes, offer };
    } catch (error) {
      this.#withdraw({ directory, door, sockets });
      throw error;
    }
  }

  #withdraw({
    directory,
    door,
    sockets,
  }: Pick<Offered, 'directory' | 'sockets'> & { door: Offer | null }): void {
    door?.close();
    for (const socket of this.#takeBack(sockets)) socket.close();
    directory.remove();
  }

  #takeBack(sockets: PassedSocket[]): readonly PassedSocket[] {
    for (const socket of sockets) this.#balancer.fleet.offered.delete(socket);
    return sockets.splice(0);
  }

  /** Until it is ready nothing changes; then it is its turn. */
  async #await(sender: ChangeSender, offered: Offered): Promise<void> {
    const how = await sender.send(Message.offer, Buffer.from(JSON.stringify(offered.offer)), READY_MS);
    if (how !== 'done') {
      const { log } = this.#balancer.options;
      log.warn(
        `the process that asked to take over ${GIVEN_UP[how]} before it was ready: nothing has changed`,
      );
      sender.refuse('it took too long');
      return;
    }
    await this.#balancer.control.revising.alone(() => this.#yieldTo(sender, offered));
  }

  /** Step 1, and then either step 2 or back. Meanwhile nothing is reloaded. */
  async #yieldTo(sender: ChangeSender, { sockets, changes, written }: Offered): Promise<void> {
    const balancer = this.#balancer;
    const isReloaded = !isDeepStrictEqual(balancer.control.revising.written, written);
    const why = isReloaded ? 'its configuration has been reloaded meanwhile: start anew' : this.#refusal();
    if (why !== null) sender.refuse(why);
    if (sender.isOver) return;
    balancer.options.log.info('the next process is ready: stepping back');
    this.#successor = sender;
    // whatever goes wrong from here on, somebody serves in the end
    let failure: string | null;
    try {
      const how = await this.#stepBack(sender, changes);
      failure = how === 'done' ? null : GIVEN_UP[how];
    } catch (error) {
      balancer.options.log.error({ error: String(error) }, 'stepping back has failed');
      failure = 'could not be told all';
    }
    if (failure === null) await this.#leave(sender, changes);
    else await this.#resume(sender, sockets, failure);
  }

  /** Nothing is accepted from its first moment on. Resolves with `done` when the successor serves. */
  async #stepBack(sender: ChangeSender, changes: SessionChanges): Promise<Answer> {
    const balancer = this.#balancer;
    const { transfer } = balancer;
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    await balancer.pause(async (keys) => {
      // the successor listens as soon as it is told to: first it must hear of all that has been
      await begun;
      await sender.send(
        Message.changes,
        transfer.encode((revision) => changes.of(keys, revision)),
      );
    });
    const all = transfer.encode((revision) => changes.since(revision));
    const isSent = sender.send(Message.changes, all, STEP_MS);
    begin();
    const how = await isSent;
    if (how !== 'done') return how;
    sender.post(Message.listen);
    return sender.serves(STEP_MS);
  }

  async #leave(sender: ChangeSender, changes: SessionChanges): Promise<void> {
    this.#isReplaced = true;
    const { log } = this.#balancer.options;
    try {
      await this.#balancer.retire();
    } catch (error) {
      log.error({ error: String(error) }, 'not all could be left to the next process');
    }
    sender.post(Message.left);
    this.#changes = changes;
    this.#sending = setInterval(() => void this.#sendAgain(), SEND_AGAIN_MS);
    log.info('the next process serves: finishing what is in flight');
    this.#onReplaced?.();
  }

  /** What is still in use, and what has been until just now. Never rejects: the end waits for it. */
  async #sendAgain(): Promise<void> {
    const { options, transfer } = this.#balancer;
    try {
      const changes = this.#changes;
      if (changes === null) return;
      const told = transfer.encode((revision) => changes.since(revision));
      await this.#successor?.send(Message.changes, told);
    } catch (error) {
      options.log.error({ error: String(error) }, 'the next process cannot be told what is still in use');
    }
  }

  /** `why`: what the successor did, or what became of it. */
  async #resume(sender: ChangeSender, sockets: PassedSocket[], why: string): Promise<void> {
    this.#successor = null;
    sender.refuse(`it ${why}, and the old process has taken everything back`);
    if (this.#balancer.isStopping) return;
    await this.#balancer.resume(this.#takeBack(sockets));
    this.#balancer.options.log.warn(
      `the process that was to take over ${why} before it served: this one goes on`,
    );
  }

  /** Finishes what is in flight. True when nothing had to be cut. */
  async finish(): Promise<boolean> {
    const isClean = await this.#balancer.finish();
    if (this.#sending !== null) clearInterval(this.#sending);
    await this.#sendAgain();
    this.#successor?.end();
    this.forget();
    return isClean;
  }

  /** We end, and no successor is expected (any more). One that is stepped back for hears nothing, and serves. */
  forget(): void {
    for (const sender of this.#senders)
      if (sender !== this.#successor) sender.refuse('this process is ending');
    void this.#entrance?.then(close, () => undefined);
  }
}

const GIVEN_UP = { gone: 'has gone', silent: 'was silent for too long' } as const;

function close({ directory, server }: Entrance): void {
  server.close();
  directory.remove();
}

function refuse(message: string): TakeoverResult {
  return { ok: false, code: 'conflict', message };
}
