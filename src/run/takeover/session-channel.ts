// The channel between the two processes of a takeover. What is sent when: directory.ts.
//
//   old -> new   length u32 | kind u8 | content    (length counts kind and content)
//   new -> old   DONE for each OFFER and CHANGES; SERVES
//
// A process that has stood still reads what has come meanwhile before a limit counts: what was sent in time holds.

import { connect, type Socket } from 'node:net';

/** `offer` a TakeoverOffer as JSON, `changes` as SessionRecords encode them, `refused` why; the others are empty. */
export const Message = { offer: 1, changes: 2, listen: 3, left: 4, refused: 5 } as const;
export type Message = (typeof Message)[keyof typeof Message];

const LENGTH_BYTES = 4;
const DONE = 1;
const SERVES = 2;
/** A successor that lives but does not answer for so long hangs, and is not waited for: clients are waiting too. */
const ANSWER_MS = 10_000;

/** `gone`: the channel has closed. `silent`: nothing came in time. */
export type Answer = 'done' | 'gone' | 'silent';

interface Waiting {
  readonly isMet: () => boolean;
  readonly settle: (answer: Answer) => void;
}

/** The old process's end. */
export class ChangeSender {
  readonly #socket: Socket;
  #sent = 0;
  #acknowledged = 0;
  #serves = false;
  #waiting: Waiting[] = [];
  /** The channel has closed, or nothing more is said. */
  isOver = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const end = (): void => {
      this.isOver = true;
      this.#settleMet();
    };
    socket.on('error', end);
    socket.on('close', end);
    socket.on('data', (bytes) => {
      for (const byte of bytes) {
        if (byte === SERVES) this.#serves = true;
        else this.#acknowledged += 1;
      }
      this.#settleMet();
    });
  }

  /** An offer or changes. Resolves when that is done, or when nobody is there to do it. */
  send(kind: Message, content: Buffer, limitMs: number = ANSWER_MS): Promise<Answer> {
    this.post(kind, content);
    this.#sent += 1;
    const count = this.#sent;
    return this.#until(() => count <= this.#acknowledged, limitMs);
  }

  /** Without an answer. */
  post(kind: Message, content: Buffer = Buffer.alloc(0)): void {
    if (this.isOver) return;
    const head = Buffer.alloc(LENGTH_BYTES + 1);
    head.writeUInt32LE(1 + content.length);
    head.writeUInt8(kind, LENGTH_BYTES);
    this.#socket.write(Buffer.concat([head, content]));
  }

  /** Resolves when the successor has said that it serves. */
  serves(limitMs: number): Promise<Answer> {
    return this.#until(() => this.#serves, limitMs);
  }

  /** It shall not take over (any more). */
  refuse(why: string): void {
    this.post(Message.refused, Buffer.from(why));
    this.end();
  }

  /** What waits for an answer waits no more; what was said still arrives. */
  end(): void {
    this.isOver = true;
    this.#socket.end();
    // one that hangs does not keep us
    this.#socket.unref();
    this.#settleMet();
  }

  #until(isMet: () => boolean, limitMs: number): Promise<Answer> {
    return new Promise((resolve) => {
      const cancel = afterReading(limitMs, () => resolve('silent'));
      const settle = (answer: Answer): void => {
        cancel();
        resolve(answer);
      };
      this.#waiting.push({ isMet, settle });
      this.#settleMet();
    });
  }

  #settleMet(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) {
      if (one.isMet()) one.settle('done');
      else if (this.isOver) one.settle('gone');
      else this.#waiting.push(one);
    }
  }
}

/** Calls when the time is over, but not before what has come by then is read. Returns how to cancel. */
function afterReading(limitMs: number, call: () => void): () => void {
  let isCancelled = false;
  const timer = setTimeout(() => {
    setImmediate(() => {
      if (!isCancelled) call();
    });
  }, limitMs);
  return () => {
    isCancelled = true;
    clearTimeout(timer);
  };
}

/** The new process's end. */
export class ChangeReceiver {
  /** Resolves when the old process has ended, or `end` was called. */
  readonly over: Promise<void>;
  /** Why the old process refuses; null while it does not. */
  refusal: string | null = null;
  /** Null until the offer has come. */
  offer: Buffer | null = null;
  /** Before `ready`: what to do with changes. What it rejects is not acknowledged: they count as not taken in. */
  applyChanges: (bytes: Buffer) => Promise<void> = () => Promise.resolve();
  readonly #socket: Socket;
  readonly #frames = new Frames();
  readonly #received = new Set<Message>();
  #isOver = false;
  #onReceived: () => void = () => undefined;

  /** Connects, and so asks for an offer. */
  constructor(path: string) {
    const socket = connect(path);
    this.#socket = socket;
    socket.on('error', () => {
      // 'close' follows and says the same.
    });
    socket.on('data', (bytes: Buffer) => {
      this.#frames.add(bytes);
      for (let frame = this.#frames.next(); frame !== null; frame = this.#frames.next()) this.#onFrame(frame);
    });
    this.over = new Promise((resolve) => {
      socket.on('close', () => {
        this.#isOver = true;
        this.#onReceived();
        resolve();
      });
    });
  }

  #onFrame(frame: Buffer): void {
    const kind = frame.readUInt8(0) as Message;
    const content = frame.subarray(1);
    if (kind === Message.offer) this.offer = content;
    else if (kind === Message.refused) this.refusal = content.toString();
    else if (kind === Message.changes) {
      this.applyChanges(content).then(
        () => this.#say(DONE),
        () => undefined,
      );
      return;
    }
    this.#received.add(kind);
    this.#onReceived();
  }

  #say(byte: number): void {
    if (!this.#isOver) this.#socket.write(Buffer.from([byte]));
  }

  /** Resolves with the offer. */
  awaitOffer(limitMs: number): Promise<Answer> {
    return this.#until(Message.offer, limitMs);
  }

  /** The old process may step back. Resolves when its changes have been taken in and we are to listen. */
  ready(limitMs: number): Promise<Answer> {
    this.#say(DONE);
    return this.#until(Message.listen, limitMs);
  }

  /** Resolves when the old process has let go of all. */
  serves(limitMs: number): Promise<Answer> {
    this.#say(SERVES);
    return this.#until(Message.left, limitMs);
  }

  /** A refusal is `gone`, with `refusal`. */
  #until(kind: Message, limitMs: number): Promise<Answer> {
    return new Promise((resolve) => {
      const answer = (): Answer => {
        if (this.refusal !== null) return 'gone';
        if (this.#received.has(kind)) return 'done';
        return this.#isOver ? 'gone' : 'silent';
      };
      const cancel = afterReading(limitMs, () => resolve(answer()));
      const settle = (): void => {
        if (answer() === 'silent') return;
        cancel();
        resolve(answer());
      };
      // a refusal that was read in the same breath counts
      this.#onReceived = () => void setImmediate(settle);
      this.#onReceived();
    });
  }

  /** Receives no more. */
  end(): void {
    this.#socket.destroy();
  }
}

/** Whole frames out of a stream. A million sessions come in hundreds of parts: these are joined once. */
class Frames {
  #parts: Buffer[] = [];
  #length = 0;
  /** Offset behind the first frame; until its length is known, behind that. */
  #end = LENGTH_BYTES;

  add(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /** Content of the first frame, null while it is not whole. */
  next(): Buffer | null {
    if (this.#length < this.#end) return null;
    const bytes = Buffer.concat(this.#parts, this.#length);
    this.#parts = [bytes];
    this.#end = LENGTH_BYTES + bytes.readUInt32LE(0);
    if (this.#length < this.#end) return null;
    const frame = bytes.subarray(LENGTH_BYTES, this.#end);
    this.#parts = [bytes.subarray(this.#end)];
    this.#length -= this.#end;
    this.#end = LENGTH_BYTES;
    return frame;
  }
}
