// The line between the two processes of a takeover: the old one tells changes, the new one says when it has taken them in.
//
//   old -> new   length u32 | that many bytes    again and again
//   new -> old   one byte for each

import { connect, type Socket } from 'node:net';

const LENGTH_BYTES = 4;
const TAKEN_IN = Buffer.from([1]);
/** A successor that lives but does not answer for so long hangs, and is not waited for: clients are waiting too. */
const ANSWER_MS = 10_000;

/** The old process's end. */
export class ChangesTeller {
  readonly #socket: Socket;
  #told = 0;
  #takenIn = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  #isOver = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    const end = (): void => {
      this.#isOver = true;
      this.#look();
    };
    socket.on('error', end);
    socket.on('close', end);
    socket.on('data', (bytes) => {
      this.#takenIn += bytes.length;
      this.#look();
    });
  }

  /** Resolves when the bytes have been taken in, or when nobody is there to do so. */
  tell(bytes: Buffer): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32LE(bytes.length);
    this.#socket.write(Buffer.concat([length, bytes]));
    this.#told += 1;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ANSWER_MS);
      this.#waiting.push({
        count: this.#told,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      });
    });
  }

  #look(): void {
    const isDone = ({ count }: { readonly count: number }): boolean => this.#isOver || count <= this.#takenIn;
    const done = this.#waiting.filter(isDone);
    this.#waiting = this.#waiting.filter((waiting) => !isDone(waiting));
    for (const { resolve } of done) resolve();
  }

  end(): void {
    this.#socket.end();
  }
}

export interface ChangesHearer {
  /** How it began: the first changes have been taken in, the other end has closed, or nothing has been heard. */
  readonly first: Promise<'taken-in' | 'closed' | 'silence'>;
  /** Resolves when the old process has ended. */
  readonly over: Promise<void>;
  /** Hears no more. */
  end(): void;
}

/** The new process's end: connects, and so makes the old process step back. */
export function hearChanges(
  path: string,
  limitMs: number,
  takeIn: (bytes: Buffer) => Promise<void>,
): ChangesHearer {
  const socket = connect(path);
  const frames = new Frames();
  let onFirst: (how: 'taken-in' | 'closed' | 'silence') => void = () => undefined;
  const first: ChangesHearer['first'] = new Promise((resolve) => {
    const timer = setTimeout(() => onFirst('silence'), limitMs);
    onFirst = (how) => {
      clearTimeout(timer);
      resolve(how);
    };
  });
  socket.on('error', () => {
    // 'close' follows and says the same.
  });
  socket.on('data', (bytes: Buffer) => {
    frames.add(bytes);
    for (let frame = frames.next(); frame !== null; frame = frames.next()) {
      void takeIn(frame).then(() => {
        socket.write(TAKEN_IN);
        onFirst('taken-in');
      });
    }
  });
  const over = new Promise<void>((resolve) => {
    socket.on('close', () => {
      onFirst('closed');
      resolve();
    });
  });
  return { first, over, end: () => socket.destroy() };
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
