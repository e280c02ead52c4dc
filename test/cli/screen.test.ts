// What the terminal shows of lines and tables: no wider than it is, coloured only where it has colours.

import { expect, test } from 'vitest';
import { widthOf } from '../../src/base/printable.ts';
import { fitted, screenOf, spansOf, textOf } from '../../src/cli/screen.ts';
import { formatTable } from '../../src/cli/table.ts';

const ESCAPE = '\x1b';
const COLUMNS = [
  { heading: 'SERVER' },
  { heading: 'WEIGHT', isLeftOut: 1 },
  { heading: 'REQUESTS', isLeftOut: 2 },
  { heading: 'NOTES' },
];
const ROWS = [
  ['a', 1, 123_456, ''],
  ['shop-frontend-7d9c5b6f4-x2x8q', 10, 7, 'connection refused by the machine'],
];
const table = (room?: number): readonly string[] =>
  formatTable(COLUMNS, ROWS, room).map((line) => textOf(line, false));

test('a table in a file has all of everything', () => {
  expect(table()).toEqual([
    'SERVER                         WEIGHT  REQUESTS  NOTES',
    'a                                   1    123456',
    'shop-frontend-7d9c5b6f4-x2x8q      10         7  connection refused by the machine',
  ]);
});

test('where it is narrower the longest words are cut, then what matters least is left out', () => {
  expect(table(60)).toEqual([
    'SERVER                WEIGHT  REQUESTS  NOTES',
    'a                          1    123456',
    'shop-frontend-7d9c5…      10         7  connection refused …',
  ]);
  expect(table(40)).toEqual([
    'SERVER      WEIGHT  REQUESTS  NOTES',
    'a                1    123456',
    'shop-fron…      10         7  connectio…',
  ]);
  expect(table(39)).toEqual([
    'SERVER          WEIGHT  NOTES',
    'a                    1',
    'shop-frontend…      10  connection ref…',
  ]);
  expect(table(22)).toEqual(['SERVER      NOTES', 'a', 'shop-fron…  connectio…']);
});

test.each([200, 100, 80, 64, 50, 33, 22])('no line of a table is wider than %i', (room) => {
  for (const line of table(room)) expect(line.length).toBeLessThanOrEqual(room);
});

test('no line wraps and no row scrolls away', () => {
  const shown = (lines: Parameters<typeof fitted>[0], columns: number, rows: number): string[] =>
    fitted(lines, columns, rows).map((line) => textOf(line, false));
  expect(shown(['12345', '123456'], 5, 2)).toEqual(['12345', '1234…']);
  expect(shown(['a', 'b', 'c', 'd'], 80, 3)).toEqual(['a', 'b', '… 2 lines more']);
  expect(shown([[{ text: '123', tone: 'bad' }, { text: '45' }, { text: '6' }]], 5, 1)).toEqual(['1234…']);
  expect(shown([[{ text: '12345', tone: 'bad' }, { text: '6' }]], 5, 1)).toEqual(['1234…']);
  expect(shown([[{ text: '12345', tone: 'bad' }, { text: '' }]], 5, 1)).toEqual(['12345']);
});

test('colour is around the word alone, and what a server is called cannot change the terminal', () => {
  const line = [{ text: 'down', tone: 'bad' as const }, { text: ` ${ESCAPE}[2Ja` }];
  const [before, bad, rest, ...more] = textOf(line, true).split(ESCAPE);
  expect([before, bad, rest?.slice(0, 4), more]).toEqual(['', '[1;31mdown', '[0m ', []]);
  expect(textOf(line, false)).not.toContain(ESCAPE);
  expect(spansOf('plain')).toEqual([{ text: 'plain' }]);
});

test('what a control character is shown as counts where a line is cut', () => {
  const reason = `${ESCAPE}${ESCAPE} refused`;
  const [cut] = fitted([[{ text: 'down: ' }, { text: reason }]], 20, 1).map((line) => textOf(line, false));
  expect(cut).toBe('down: \\x1b\\x1b refu…');
  const rows = formatTable([{ heading: 'SERVER' }, { heading: 'NOTES' }], [['a', reason]], 20);
  expect(rows.map((line) => textOf(line, false))).toEqual(['SERVER  NOTES', 'a       \\x1b\\x1b re…']);
});

test('columns stay under each other whatever the width of what is in them', () => {
  const columns = [{ heading: 'SERVER' }, { heading: 'NOTES' }, { heading: 'LOST' }];
  const rows = [
    ['a', 'connection refused', 1],
    ['b', '接続が拒否されました', 20],
    ['c', 'cafe\u0301 🔥 refuse\u0301', 300],
  ];
  const shown = (room?: number): string[] =>
    formatTable(columns, rows, room).map((line) => textOf(line, false));
  expect(shown()).toEqual([
    'SERVER  NOTES                 LOST',
    'a       connection refused       1',
    'b       接続が拒否されました    20',
    'c       cafe\u0301 🔥 refuse\u0301         300',
  ]);
  for (const room of [34, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24])
    expect([room, new Set(shown(room).map(widthOf))]).toEqual([room, new Set([room])]);
  expect(shown(29)[2]).toBe('b       接続が拒否され…    20');
  expect(fitted(['接続が拒否'], 7, 1)).toEqual([[{ text: '接続が…' }]]);
  expect(fitted(['接続が拒否'], 10, 1)).toEqual(['接続が拒否']);
});

test('a file has no width and no colours, a terminal both; COLUMNS goes first', () => {
  const stream = (more: object) => ({ hasColors: () => true, ...more }) as NodeJS.WriteStream;
  const file = stream({ isTTY: false });
  const terminal = stream({ isTTY: true, columns: 91 });
  expect(screenOf(file, undefined)).toEqual({ columns: Number.POSITIVE_INFINITY, hasColours: false });
  expect(screenOf(file, '72')).toEqual({ columns: 72, hasColours: false });
  expect(screenOf(terminal, undefined)).toEqual({ columns: 91, hasColours: true });
  expect(screenOf(terminal, 'wide')).toEqual({ columns: 91, hasColours: true });
  expect(screenOf(stream({ isTTY: true, columns: 0 }), '')).toMatchObject({
    columns: Number.POSITIVE_INFINITY,
  });
  const noColour = stream({ isTTY: true, columns: 80, hasColors: () => false });
  expect(screenOf(noColour, undefined)).toEqual({ columns: 80, hasColours: false });
});
