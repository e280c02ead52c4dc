// What whoever has started the process asks of it by signals, and what it means that their terminal is gone.
//
//   SIGHUP             reload; before there is anything to reload it is remembered
//   SIGTERM, SIGINT    stop
//   terminal closed    stop, and say so by the exit status: nobody has asked for it
//
// The kernel announces the end of a terminal with a SIGHUP too, but by then the terminal's descriptors are dead.

import { isatty } from 'node:tty';
import { standardError, standardOutput } from '../base/standard-stream.ts';

/** As a shell reports who was ended by SIGHUP. */
export const EXIT_HUNG_UP = 129;
const STANDARD_FDS = [0, 1, 2];

export class Owner {
  /** Resolves at the first wish to stop, with the exit status that it means. */
  readonly stop: Promise<number>;
  #onStop: (status: number) => void = () => undefined;
  readonly #terminals = STANDARD_FDS.filter((fd) => isatty(fd));
  #isReloadWanted = false;
  #reload: (() => void) | null = null;

  constructor() {
    this.stop = new Promise((resolve) => {
      this.#onStop = resolve;
    });
    // the launcher's, which has kept us alive so far: without any, be it for a moment, the signal ends the process
    const launchers = process.listeners('SIGHUP');
    process.on('SIGHUP', () => this.#onHangUp());
    for (const listener of launchers) process.off('SIGHUP', listener);
    for (const stream of [standardOutput(), standardError()])
      stream.onHangUp = () => this.#onStop(EXIT_HUNG_UP);
  }

  #onHangUp(): void {
    if (this.#isTerminalGone()) this.#onStop(EXIT_HUNG_UP);
    else if (this.#reload === null) this.#isReloadWanted = true;
    else this.#reload();
  }

  #isTerminalGone(): boolean {
    return this.#terminals.length > 0 && !this.#terminals.some((fd) => isatty(fd));
  }

  /** Clients are answered: from now on the process is not ended by a signal, but stops in an orderly way. */
  serves(): void {
    void stopSignal().then(() => this.#onStop(0));
  }

  /** From now on there is something to reload. */
  begin(reload: () => Promise<unknown>): void {
    this.#reload = onceMore(reload);
    if (this.#isReloadWanted) this.#reload();
  }
}

/** Resolves at the first SIGTERM or SIGINT. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** However often it is called while `run` runs, that follows once: it reads what is new then. `run` does not reject. */
export function onceMore(run: () => Promise<unknown>): () => void {
  let isRunning = false;
  let isWanted = false;
  return () => {
    isWanted = true;
    if (isRunning) return;
    isRunning = true;
    void (async () => {
      while (isWanted) {
        isWanted = false;
        await run();
      }
      isRunning = false;
    })();
  };
}
