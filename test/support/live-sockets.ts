// WebSockets that stay open and are used all the while; one that is closed in order is opened again.

import { connect } from 'node:net';
import { whenDone } from './lifetime.ts';

const UPGRADE = 'GET /live HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const SAY_EVERY_MS = 100;
/** A message that has not come back for so long is lost. */
const ECHO_MS = 5000;

export class LiveSockets {
  #opened = 0;
  #messages = 0;
  #closedInOrder = 0;
  readonly #dropped: string[] = [];
  readonly #port: number;
  readonly #count: number;
  #isOver = false;
  #lanes: Promise<unknown> = Promise.resolve();

  constructor(port: number, count: number) {
    this.#port = port;
    this.#count = count;
  }

  /** Resolves when all are open. */
  async open(): Promise<void> {
    whenDone(() => this.stop());
    const ready: Promise<void>[] = [];
    const lanes = Array.from({ length: this.#count }, () => {
      let onOpen = (): void => undefined;
      ready.push(new Promise((resolve) => (onOpen = resolve)));
      return this.#lane(onOpen);
    });
    this.#lanes = Promise.all(lanes);
    await Promise.all(ready);
  }

  async #lane(onOpen: () => void): Promise<void> {
    while (!this.#isOver) {
      const end = await this.#use(onOpen);
      if (end === 'in order') this.#closedInOrder += 1;
      else if (end !== 'over') this.#dropped.push(end);
    }
  }

  /** One WebSocket from begin to end: how it ended. */
  #use(onOpen: () => void): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect({ port: this.#port, host: '127.0.0.1' }).setEncoding('latin1');
      let [sent, received, isOpen, isWaiting, sinceMs] = [0, '', false, true, performance.now()];
      const end = (how: string): void => {
        clearInterval(timer);
        socket.destroy();
        resolve(how);
      };
      const say = (): void => {
        if (this.#isOver) end('over');
        else if (isWaiting && performance.now() - sinceMs > ECHO_MS) end('no answer');
        if (isWaiting || this.#isOver) return;
        [sent, isWaiting, sinceMs] = [sent + 1, true, performance.now()];
        socket.write(`${sent};`);
      };
      const timer = setInterval(say, SAY_EVERY_MS);
      socket.on('connect', () => socket.write(UPGRADE));
      socket.on('data', (text) => {
        received += String(text);
        const isWhole = isOpen ? received === `${sent};` : received.endsWith('\r\n\r\n');
        if (!isWhole) return;
        if (isOpen) this.#messages += 1;
        else if (received.startsWith('HTTP/1.1 101')) this.#opened += 1;
        else end(received);
        [received, isOpen, isWaiting] = ['', true, false];
        onOpen();
      });
      socket.on('error', (error) => end(error.message));
      socket.on('close', () => end(isOpen ? 'in order' : `closed before it was open: ${received}`));
    });
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#lanes;
  }

  get report(): {
    readonly opened: number;
    readonly messages: number;
    readonly closedInOrder: number;
    readonly dropped: readonly string[];
  } {
    const [opened, messages] = [this.#opened, this.#messages];
    return { opened, messages, closedInOrder: this.#closedInOrder, dropped: this.#dropped };
  }
}
