// What the scripts of the session store do, in memory: the simulation runs against it, and a test compares it with the
// scripts in a real Redis, operation by operation.

import type { Operation, Outcome } from '../../src/session-store/operations.ts';
import { SILENT_MS } from '../../src/session-store/scripts.ts';

export interface ModelRecord {
  tenure: number;
  owner: string;
  version: number;
  writer: string;
  data: string;
  /** When the claim that took it was to come at the latest; 0: it was made. Claims sent before that one come too late. */
  claimedUntilMs: number;
  endsAtMs: number;
  isTombstone: boolean;
  isUnsure: boolean;
}

/** Faults that can be planted, to see them caught. */
export interface PlantedFaults {
  readonly tenureCheckOff?: boolean;
  readonly tombstonesOff?: boolean;
}

/** Tells one set of data from the next. Claims in it give tenures from `sinceMs`, above all of the set before. */
interface Marker {
  readonly dataSet: string;
  readonly sinceMs: number;
  readyAtMs: number;
  run: number;
  seenAtMs: number;
}

type Write = Operation & { readonly kind: 'write' };

export class ModelStore {
  readonly records = new Map<string, ModelRecord>();
  run = 1;
  onNotice: (owner: string, kind: 'taken' | 'ended', key: string, tenure: number) => void = () => {};
  /** `before` is null where there was no record. */
  onWrite: (key: string, before: string | null, after: string) => void = () => {};
  /** A claim was answered so. */
  onUnknown: (key: string, claimer: string) => void = () => {};
  readonly #nowMs: () => number;
  readonly #refillMs: number;
  readonly #planted: PlantedFaults;
  #dataSets = 0;
  #marker: Marker | null = null;

  constructor(nowMs: () => number, refillMs: number, planted: PlantedFaults = {}) {
    this.#nowMs = nowMs;
    this.#refillMs = refillMs;
    this.#planted = planted;
  }

  /** Another process, with the data or without. */
  restart(isEmpty: boolean): void {
    this.run += 1;
    if (isEmpty) this.empty();
  }

  empty(): void {
    this.records.clear();
    this.#marker = null;
  }

  live(key: string): ModelRecord | undefined {
    const record = this.records.get(key);
    if (record !== undefined && record.endsAtMs <= this.#nowMs()) {
      this.records.delete(key);
      return undefined;
    }
    return record;
  }

  apply(operation: Operation, me: string): Outcome {
    switch (operation.kind) {
      case 'hello':
        return this.#hello(operation.isRefilling);
      case 'claim':
        return this.#claim(operation, me);
      case 'write':
        return this.#write(operation, me);
      case 'touch':
        return this.#touch(operation, me);
      case 'destroy':
        return this.#destroy(operation, me);
    }
  }

  #mark(): Marker {
    if (this.#marker === null) {
      this.#dataSets += 1;
      const sinceMs = this.#nowMs();
      const readyAtMs = sinceMs + this.#refillMs;
      const dataSet = String(this.#dataSets);
      this.#marker = { dataSet, sinceMs, readyAtMs, run: this.run, seenAtMs: sinceMs };
    }
    const marker = this.#marker;
    if (marker.seenAtMs < marker.readyAtMs && this.#nowMs() - marker.seenAtMs > SILENT_MS) {
      marker.readyAtMs = this.#nowMs() + this.#refillMs;
      marker.seenAtMs = this.#nowMs();
    }
    return marker;
  }

  /** What is not there may still come, and what is there from who is unsure may still be overwritten. */
  #isRefilling(): boolean {
    return this.#mark().readyAtMs > this.#nowMs();
  }

  #hello(isRefilling: boolean): Outcome {
    const marker = this.#mark();
    if (isRefilling || marker.run !== this.run) marker.readyAtMs = this.#nowMs() + this.#refillMs;
    marker.run = this.run;
    marker.seenAtMs = this.#nowMs();
    return { kind: 'hello', dataSet: marker.dataSet, run: String(this.run), storeMs: this.#nowMs() };
  }

  #claim({ key, untilMs }: Operation & { readonly kind: 'claim' }, me: string): Outcome {
    if (untilMs > 0 && untilMs < this.#nowMs()) return { kind: 'late' };
    const record = this.live(key);
    if (record === undefined) {
      if (this.#isRefilling()) return { kind: 'again' };
      this.onUnknown(key, me);
      return { kind: 'unknown' };
    }
    if (record.isTombstone) return { kind: 'destroyed' };
    if (record.isUnsure && this.#isRefilling()) return { kind: 'again' };
    if (untilMs > 0 && untilMs < record.claimedUntilMs) return { kind: 'late' };
    const from = record.owner === me ? null : record.owner;
    const before = record.tenure;
    record.claimedUntilMs = untilMs;
    record.isUnsure = false;
    record.tenure = Math.max(record.tenure + 1, this.#mark().sinceMs);
    record.owner = me;
    if (from !== null) this.onNotice(from, 'taken', key, record.tenure);
    const { tenure, version, data } = record;
    return { kind: 'claimed', tenure, before, version, data, lifeMs: record.endsAtMs - this.#nowMs(), from };
  }

  #write(operation: Write, me: string): Outcome {
    const { key, version, data, lifeMs, isUnsure } = operation;
    const record = this.live(key);
    const endsAtMs = this.#nowMs() + lifeMs;
    if (record === undefined) {
      if (operation.dataSet !== null && operation.dataSet !== this.#marker?.dataSet) return { kind: 'late' };
      const tenure = Math.max(1, operation.tenure);
      this.onWrite(key, null, data);
      this.records.set(key, {
        tenure,
        owner: me,
        version,
        writer: me,
        data,
        claimedUntilMs: 0,
        endsAtMs,
        isTombstone: false,
        isUnsure,
      });
      return this.#accepted(this.records.get(key) as ModelRecord);
    }
    if (record.isTombstone) {
      if (this.#planted.tombstonesOff !== true) return { kind: 'destroyed' };
      record.isTombstone = false;
    }
    const taken = this.#tenureOf(record, operation, me);
    if (taken === null) return { kind: 'stale', tenure: record.tenure };
    if (record.owner !== me) this.onNotice(record.owner, 'taken', key, taken);
    if (taken > record.tenure) record.isUnsure = isUnsure;
    record.tenure = taken;
    record.owner = me;
    record.endsAtMs = endsAtMs;
    // An older write of this server's own that comes late changes nothing.
    if (record.writer === me && record.version > version) return this.#accepted(record);
    this.onWrite(key, record.data, data);
    record.version = version;
    record.writer = me;
    record.data = data;
    return this.#accepted(record);
  }

  #accepted({ tenure, version, isUnsure }: ModelRecord): Outcome {
    const unsure = isUnsure && this.#isRefilling() ? { isUnsure } : {};
    return { kind: 'accepted', tenure, version, ...unsure };
  }

  /** The tenure that the write is accepted with; null when it is refused. */
  #tenureOf(record: ModelRecord, { tenure, version, untilMs }: Write, me: string): number | null {
    const isMine = record.owner === me;
    if (this.#planted.tenureCheckOff === true) return Math.max(record.tenure, tenure);
    // Made by its server without knowing the record: fine if that is its own, and older unless it is this very write.
    if (tenure === 0)
      return isMine && (record.writer === me || record.version < version) ? record.tenure : null;
    if (record.tenure < tenure || (record.tenure === tenure && isMine)) return tenure;
    // Sent before that claim, it is older than what that has found.
    if (untilMs > 0 && untilMs < record.claimedUntilMs) return null;
    return isOwnClaim(record, tenure, me) ? record.tenure : null;
  }

  #touch({ key, tenure, version, lifeMs }: Operation & { readonly kind: 'touch' }, me: string): Outcome {
    const record = this.live(key);
    if (record === undefined) return { kind: 'behind' };
    if (record.isTombstone) return { kind: 'destroyed' };
    const isMine = record.owner === me;
    const isHigher = record.tenure > tenure || (record.tenure === tenure && !isMine);
    if (isHigher && !isOwnClaim(record, tenure, me) && this.#planted.tenureCheckOff !== true)
      return { kind: 'stale', tenure: record.tenure };
    if (record.tenure < tenure || record.version < version) return { kind: 'behind' };
    if (lifeMs === 0) this.records.delete(key);
    record.endsAtMs = this.#nowMs() + lifeMs;
    return this.#accepted(record);
  }

  #destroy({ key, lifeMs }: Operation & { readonly kind: 'destroy' }, me: string): Outcome {
    const record = this.live(key);
    if (record !== undefined && !record.isTombstone && record.owner !== me)
      this.onNotice(record.owner, 'ended', key, record.tenure + 1);
    const tenure = (record?.tenure ?? 0) + 1;
    const restMs = record === undefined ? 0 : record.endsAtMs - this.#nowMs();
    if (this.#planted.tombstonesOff === true) this.records.delete(key);
    else
      this.records.set(key, {
        tenure,
        owner: me,
        version: 0,
        writer: me,
        data: '',
        claimedUntilMs: 0,
        endsAtMs: this.#nowMs() + Math.max(lifeMs, Math.min(86_400_000, restMs)),
        isTombstone: true,
        isUnsure: false,
      });
    return { kind: 'accepted', tenure, version: 0 };
  }
}

/** A claim of the server itself, whose answer it never had, has raised the tenure. */
function isOwnClaim(record: ModelRecord, tenure: number, me: string): boolean {
  return record.owner === me && (record.writer === me || record.tenure === tenure + 1);
}
