// What a thread puts off to the end of the turn: what many streams have to say is then said in one write.

/** Whoever has something to do then. */
export interface TurnEnding {
  onTurnEnd(): void;
}

export class TurnEnd {
  #waiting: TurnEnding[] = [];

  /** Also between events, when they come without a pause: an immediate would have to wait for all of them. */
  readonly run = (): void => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) each.onTurnEnd();
  };

  /** Whoever is added twice is told twice. What comes while others are told has its turn after the next events. */
  add(each: TurnEnding): void {
    if (this.#waiting.push(each) === 1) setImmediate(this.run);
  }
}
