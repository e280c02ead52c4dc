// What `holdfast explain` says of the servers that are not asked, also where there are hundreds.

import { expect, test } from 'vitest';
import { describeExplanation } from '../../src/cli/explain.ts';

test('servers of one reason are on one line, the first ten by name', () => {
  const others = Array.from({ length: 200 }, (_, index) => ({
    server: `web-${index}`,
    why: index % 100 === 7 ? 'it is down' : 'it was not picked',
  }));
  const explanation = {
    server: 'a',
    outcome: 'new',
    move: null,
    session: null,
    reasons: ['it is new'],
    others,
  };
  expect(describeExplanation(explanation)).toEqual([
    'a (outcome new)',
    '- it is new',
    '  not web-0, web-1, web-2, web-3, web-4, web-5, web-6, web-8, web-9, web-10 and 188 more: it was not picked',
    '  not web-7, web-107: it is down',
  ]);
});
