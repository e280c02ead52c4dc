// What the cross-checks have to say: errors and warnings with the values they rest on.

import type { Path } from './tree.ts';

export interface Remark {
  readonly severity: 'error' | 'warning';
  /** What the remark points at. */
  readonly path: Path;
  readonly at: 'key' | 'value';
  /** `{line}` stands for the line of `other`. */
  readonly message: string;
  readonly other?: Path;
  /** Other values it rests on: when one of those was wrong already, the remark is dropped. */
  readonly involves: readonly Path[];
}

/** Collects remarks of one part of the configuration. */
export class Remarks {
  readonly list: Remark[] = [];

  error(path: Path, message: string, involves: readonly Path[] = []): void {
    this.list.push({ severity: 'error', path, at: 'value', message, involves });
  }

  errorAtKey(path: Path, message: string, involves: readonly Path[] = []): void {
    this.list.push({ severity: 'error', path, at: 'key', message, involves });
  }

  warning(path: Path, message: string, involves: readonly Path[] = []): void {
    this.list.push({ severity: 'warning', path, at: 'value', message, involves });
  }

  warningAtKey(path: Path, message: string, involves: readonly Path[] = []): void {
    this.list.push({ severity: 'warning', path, at: 'key', message, involves });
  }

  /** An error that names another place, which must be right for it to make sense. */
  clash(path: Path, other: Path, message: string): void {
    this.list.push({ severity: 'error', path, at: 'value', message, other, involves: [path, other] });
  }

  warningClash(path: Path, other: Path, message: string): void {
    this.list.push({ severity: 'warning', path, at: 'value', message, other, involves: [path, other] });
  }
}
