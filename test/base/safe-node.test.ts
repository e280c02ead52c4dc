// Which versions of Node are warned of.

import { expect, test } from 'vitest';
import { unsafeNode } from '../../src/base/safe-node.ts';

test.each([
  ['26.13.1', null],
  ['26.14.0', null],
  ['27.0.0', null],
  ['24.22.3', null],
  ['26.13.0', 'Node 26.13.0 has known security holes, use 26.13.1 or newer'],
  ['24.9.9', 'Node 24.9.9 has known security holes, use 24.22.3 or newer'],
  ['25.9.0', 'Node 25.9.0 is of a line that gets no security fixes, use 24 or 26'],
])('%s', (version, said) => {
  expect(unsafeNode(version)).toBe(said);
});
