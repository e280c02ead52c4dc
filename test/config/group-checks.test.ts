// Groups of the key exchange that the machine cannot use are said before the first handshake.

import { expect, test } from 'vitest';
import { GROUP_NAMES, isGroupKnownHere } from '../../src/base/tls-groups.ts';
import { checkGroups } from '../../src/config/group-checks.ts';
import { Remarks } from '../../src/config/remarks.ts';

test('this Node knows all that may be written, and no others', () => {
  expect(GROUP_NAMES.filter((name) => !isGroupKnownHere(name))).toEqual([]);
  expect(isGroupKnownHere('X25519Kyber768Draft00')).toBe(false);
});

test('one that its OpenSSL does not know is an error at its place', () => {
  const remarks = new Remarks();
  checkGroups(['groups'], ['X25519MLKEM768', 'X25519'], remarks, (name) => name === 'X25519');
  expect(remarks.list).toMatchObject([
    {
      severity: 'error',
      path: ['groups', 0],
      message: `group "X25519MLKEM768" is not known to the OpenSSL of this Node (${process.versions.openssl}), leave it out`,
    },
  ]);
});
