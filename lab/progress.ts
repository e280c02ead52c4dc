// How far the run is: a bar that is redrawn on a terminal, a line per cell elsewhere.

/** Where progress is shown. */
export interface Screen {
  readonly isTerminal: boolean;
  readonly columns: number;
  write(text: string): void;
}

const BAR_WIDTH = 24;
const REDRAW_MS = 500;

/** Shows cells as they begin and end. */
export class Progress {
  readonly #screen: Screen;
  readonly #total: number;
  readonly #expectedMs: number;
  readonly #beganMs = performance.now();
  #done = 0;
  #current = '';
  #timer: NodeJS.Timeout | null = null;

  /** `expectedMs`: how long all cells together should take. */
  constructor(screen: Screen, total: number, expectedMs: number) {
    this.#screen = screen;
    this.#total = total;
    this.#expectedMs = expectedMs;
    if (screen.isTerminal) this.#timer = setInterval(() => this.#draw(), REDRAW_MS).unref();
  }

  begin(title: string): void {
    this.#current = title;
    this.#draw();
  }

  /** A cell has ended; `line` says how. */
  end(line: string): void {
    this.#done += 1;
    this.#clear();
    this.#screen.write(`${line}\n`);
    this.#draw();
  }

  /** Removes the bar. */
  finish(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#clear();
  }

  #clear(): void {
    if (this.#screen.isTerminal) this.#screen.write('\r\u001b[2K');
  }

  #draw(): void {
    if (!this.#screen.isTerminal || this.#timer === null) return;
    const elapsedMs = performance.now() - this.#beganMs;
    const line = barLine(this.#done, this.#total, elapsedMs, this.#expectedMs, this.#current);
    this.#clear();
    this.#screen.write(line.slice(0, Math.max(20, this.#screen.columns - 1)));
  }
}

/** The bar as text. Pure. */
export function barLine(
  done: number,
  total: number,
  elapsedMs: number,
  expectedMs: number,
  current: string,
): string {
  const part = total === 0 ? 1 : Math.min(1, Math.max(done / total, Math.min(0.99, elapsedMs / expectedMs)));
  const full = Math.round(part * BAR_WIDTH);
  const leftS = Math.max(0, Math.round((expectedMs - elapsedMs) / 1000));
  const left = `${Math.floor(leftS / 60)}:${String(leftS % 60).padStart(2, '0')}`;
  return `[${'█'.repeat(full)}${'·'.repeat(BAR_WIDTH - full)}] ${done}/${total}  about ${left} left  ${current}`;
}
