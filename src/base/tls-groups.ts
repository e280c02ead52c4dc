// Groups of the key exchange in TLS (RFC 8446 section 4.2.7): what they are called here, in OpenSSL, and in other programs.

import { createSecureContext } from 'node:tls';

interface Group {
  /** Of other programs: ours is the first name of the table. */
  readonly alsoCalled: readonly string[];
  /** TLS 1.2 has it too. */
  readonly isOld: boolean;
}

/** By the name that OpenSSL knows. */
const GROUPS = {
  X25519MLKEM768: { alsoCalled: [], isOld: false },
  SecP256r1MLKEM768: { alsoCalled: [], isOld: false },
  SecP384r1MLKEM1024: { alsoCalled: [], isOld: false },
  X25519: { alsoCalled: [], isOld: true },
  X448: { alsoCalled: [], isOld: true },
  'P-256': { alsoCalled: ['secp256r1', 'prime256v1', 'CurveP256'], isOld: true },
  'P-384': { alsoCalled: ['secp384r1', 'CurveP384'], isOld: true },
  'P-521': { alsoCalled: ['secp521r1', 'CurveP521'], isOld: true },
} as const satisfies Record<string, Group>;

export type GroupName = keyof typeof GROUPS;

export const GROUP_NAMES = Object.keys(GROUPS) as readonly GroupName[];
/** With those of other programs. */
export const GROUP_SPELLINGS: readonly string[] = GROUP_NAMES.flatMap((name) => [
  name,
  ...GROUPS[name].alsoCalled,
]);

/** Upper and lower case are alike. Null: it is none that is used here. */
export function groupNamed(written: string): GroupName | null {
  const lower = written.toLowerCase();
  const isIt = (spelling: string): boolean => spelling.toLowerCase() === lower;
  return GROUP_NAMES.find((name) => isIt(name) || GROUPS[name].alsoCalled.some(isIt)) ?? null;
}

/** Clients of TLS 1.2 can use it. */
export function isOldGroup(name: GroupName): boolean {
  return GROUPS[name].isOld;
}

/** As `ecdhCurve` takes it, the preferred first. */
export function curvesOf(groups: readonly GroupName[]): string {
  return groups.join(':');
}

/** Node may have been built with another OpenSSL than it comes with. */
export function isGroupKnownHere(name: string): boolean {
  try {
    createSecureContext({ ecdhCurve: name });
    return true;
  } catch {
    return false;
  }
}
