// The log on a terminal: what a person reads, and nothing that the terminal would obey.

import { pino } from 'pino';
import { expect, test } from 'vitest';
import { terminalLine } from '../../src/run/terminal-line.ts';

const ESCAPE = '\u001b';
const AT = new Date(2026, 10, 27, 22, 4, 39).getTime();

/** As it looks, colours as names. */
function seen(line: string): string {
  const names: Readonly<Record<string, string>> = {
    31: 'red',
    32: 'green',
    33: 'yellow',
    39: '/',
    90: 'grey',
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  return line.replaceAll(/\u001b\[(\d+)m/g, (_, code) => `<${names[code]}>`);
}

test('a line has the time of day, the level as a word, the message and what belongs to it', () => {
  const json = JSON.stringify({
    level: 40,
    time: AT,
    server: 'shop/b',
    why: 'connection refused',
    n: 2,
    msg: 'down',
  });
  expect(seen(terminalLine(json))).toBe(
    '<grey>22:04:39</> <yellow>WARN</> down <grey>server=shop/b why="connection refused" n=2</>\n',
  );
  expect(seen(terminalLine(JSON.stringify({ level: 30, time: AT, msg: 'stopped' })))).toBe(
    '<grey>22:04:39</> <green>INFO</> stopped\n',
  );
});

test('an error that pino has written stands below, with its stack', () => {
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(terminalLine(line)) });
  log.error({ err: new Error('no disk') }, 'not saved');
  expect(seen(lines.join(''))).toMatch(/<red>ERROR<\/> not saved\nError: no disk\n {4}at .*\n/);
});

test('control characters are shown, not obeyed; what is no line of JSON stays as it is', () => {
  const line = terminalLine(
    JSON.stringify({ level: 30, time: AT, name: `a${ESCAPE}[2J`, msg: `b${ESCAPE}]0;x\u0007\nc` }),
  );
  expect(seen(line)).toBe(
    '<grey>22:04:39</> <green>INFO</> b\\x1b]0;x\\x07\\x0ac <grey>name="a\\u001b[2J"</>\n',
  );
  expect(terminalLine('not JSON\n')).toBe('not JSON\n');
});
