// What the cross-checks have to say: errors and warnings with the values they rest on.

import type { Path } from './tree.ts';

export interface Remark {
  readonly severity: 'error' | 'warning';
  /** What the remark points at. */
  readonly path: Path;
  readonly at: 'key' | 'value';
  readonly message: string;
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
}
