// 500 requests a second through 30 reloads, a drain and two replacements of the process. The long form: npm run soak:operate.

import { expect, test } from 'vitest';
import { complaints, operate } from '../support/operate.ts';

const SECONDS = 15;

test('nobody notices reloads, a drain and two new processes', async () => {
  const report = await operate(SECONDS);
  expect(complaints(report), JSON.stringify(report, null, 2)).toEqual([]);
}, 90_000);
