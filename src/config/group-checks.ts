// A list of groups of the key exchange: each once, and known to the OpenSSL that is to use it.

import { type GroupName, isGroupKnownHere } from '../base/tls-groups.ts';
import type { Remarks } from './remarks.ts';
import type { Path } from './tree.ts';

/** `isKnown`: whether this machine can use it. */
export function checkGroups(
  at: Path,
  groups: readonly GroupName[],
  remarks: Remarks,
  isKnown: (name: GroupName) => boolean = isGroupKnownHere,
): void {
  for (const [index, name] of groups.entries()) {
    const first = groups.indexOf(name);
    const path = [...at, index];
    if (first < index)
      remarks.clash(path, [...at, first], `group "${name}" is already in the list, in line {line}`);
    else if (!isKnown(name))
      remarks.error(
        path,
        `group "${name}" is not known to the OpenSSL of this Node (${process.versions.openssl}), leave it out`,
      );
  }
}
