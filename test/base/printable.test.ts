import { expect, test } from 'vitest';
import { beginningOf, printable, widthOf } from '../../src/base/printable.ts';

test('what a terminal would obey is shown, the rest stays as it is', () => {
  expect(printable('down: \u001b[2Jname\r\n\u0007\u009b1m')).toBe('down: \\x1b[2Jname\\x0d\\x0a\\x07\\x9b1m');
  expect(printable('ä–✓ "quoted" \\x')).toBe('ä–✓ "quoted" \\x');
});

test('what turns the order of reading round, or ends a line, is shown too', () => {
  expect(printable('safe\u202etxt.exe\u2066 \u2028next')).toBe('safe\\u{202e}txt.exe\\u{2066} \\u{2028}next');
  expect(printable('👩‍🚒 नि 한국 é')).toBe('👩‍🚒 नि 한국 é');
});

test.each([
  ['', 0],
  ['plain', 5],
  ['ä–✓…', 4],
  ['e\u0301', 1],
  ['日本語', 6],
  ['ﾊﾝｶｸ', 4],
  ['Ａ１', 4],
  ['한국', 4],
  ['\u1112\u1161\u11ab', 2],
  ['नि', 1 + 1],
  ['🔥', 2],
  ['👍🏽', 2],
  ['👩‍👩‍👧‍👧', 2],
  ['🇩🇪', 2],
  ['☀', 1],
  ['\u{20000}', 2],
  ['a\u200bb', 2],
  ['soft\u00adhyphen', 11],
])('%j is %i columns wide', (text, columns) => {
  expect(widthOf(text)).toBe(columns);
});

test('a beginning is no wider than asked for, and keeps what stands on its last character', () => {
  expect(['', '日', '日', '日本', '日本語', '日本語'].map((_, at) => beginningOf('日本語', at + 1))).toEqual([
    '',
    '日',
    '日',
    '日本',
    '日本',
    '日本語',
  ]);
  expect(beginningOf('e\u0301e\u0301', 1)).toBe('e\u0301');
  expect(beginningOf('👩‍🚒👩‍🚒', 3)).toBe('👩‍🚒');
  expect(beginningOf('plain', -1)).toBe('');
});
