// `holdfast check` as a real process: exit status and what goes to which stream. Wrong usage of every command, and help.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { printable, widthOf } from '../../src/base/printable.ts';
import { commandInside } from '../support/command.ts';
import { launcherFor } from '../support/launcher.ts';

const folder = mkdtempSync(join(tmpdir(), 'holdfast-check-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function holdfast(...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [launcherFor(args[0]), ...args],
      { cwd: folder, timeout: 60_000 },
      (_, out, err) => {
        resolve({ status: child.exitCode ?? -1, out, err });
      },
    );
  });
}

const inside = (...args: readonly string[]): Promise<{ status: number | null; out: string; err: string }> =>
  commandInside(args, {}, folder);

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return name;
}

const GOOD = 'pools:\n  shop:\n    servers: [http://127.0.0.1:3001, http://127.0.0.1:3002]\n';

describe('holdfast check', () => {
  test('a valid file: one line on standard output, status 0', async () => {
    const name = file('good.yaml', GOOD);
    expect(await holdfast('check', '--config', name)).toEqual({
      status: 0,
      out: 'good.yaml: valid (listening on 0.0.0.0:8080, 1 route, 1 pool, 2 servers)\n',
      err: '',
    });
  });

  test('an invalid file: every problem on standard error, nothing on standard output, status 1', async () => {
    const name = file('bad.yaml', `thread: 2\n${GOOD}    polcy: x\n`);
    expect(await holdfast('check', '-c', name)).toEqual({
      status: 1,
      out: '',
      err:
        'bad.yaml:1:1: unknown key "thread", did you mean "threads"?\n' +
        'bad.yaml:5:5: unknown key "polcy" in "shop", did you mean "policy"?\n',
    });
  });

  test('what is not YAML is shown, with a mark under the place', async () => {
    const name = file('slip.yaml', 'pools:\n  shop: {servers: [http://127.0.0.1:3001\n');
    const { status, err } = await inside('check', '-c', name);
    expect(status).toBe(1);
    const [first = '', source, mark] = err.split('\n');
    const [, line, column] = /^slip\.yaml:(\d+):(\d+): not valid YAML: /.exec(first) ?? [];
    const lines = ['pools:', '  shop: {servers: [http://127.0.0.1:3001', ''];
    expect([source, mark]).toEqual([
      `    ${lines[Number(line) - 1]}`.trimEnd().padEnd(4),
      `    ${' '.repeat(Number(column) - 1)}^`,
    ]);
  });

  test('the mark stands under the place whatever is before it, and nothing in the file is obeyed', async () => {
    const name = file('wide.yaml', 'pools: { "店\u202e": "日本" x }\n');
    const { err } = await holdfast('check', '-c', name);
    const [first = '', source = '', mark = ''] = err.split('\n');
    const column = Number(/^wide\.yaml:1:(\d+): not valid YAML: /.exec(first)?.[1]);
    expect(source).toBe('    pools: { "店\\u{202e}": "日本" x }');
    const before = 'pools: { "店\u202e": "日本" x }'.slice(0, column - 1);
    expect(mark.length - 1).toBe(4 + widthOf(printable(before)));
    const started = await holdfast('run', '--config', name);
    expect(started).toEqual({ status: 1, out: '', err: `${first}\n` });
  });

  test('without --config it takes holdfast.yaml of the folder, and says so when there is none', async () => {
    expect(await inside('check')).toEqual({
      status: 2,
      out: '',
      err: expect.stringContaining('there is no holdfast.yaml and no /etc/holdfast/holdfast.yaml'),
    });
    file('holdfast.yaml', GOOD);
    expect((await inside('check')).out).toContain('holdfast.yaml: valid');
    rmSync(join(folder, 'holdfast.yaml'));
  });

  test('run --cofnig says what was meant', async () => {
    const { status, err } = await inside('run', '--cofnig', 'x.yaml');
    expect([status, err]).toEqual([2, expect.stringContaining('Did you mean --config?')]);
  });

  test('warnings go to standard error and leave the status alone', async () => {
    const name = file('warning.yaml', `trusted: [10.1.0.0/8]\n${GOOD}`);
    const { status, out, err } = await inside('check', '--config', name);
    expect({ status, err }).toEqual({
      status: 0,
      err: 'warning.yaml:1:11: warning: "10.1.0.0/8" has address bits beyond its prefix length, they are ignored\n',
    });
    expect(out).toMatch(/^warning.yaml: valid \(/);
  });

  test('--print gives a file that is valid itself', async () => {
    const printed = await inside('check', '--print', '--config', file('good.yaml', GOOD));
    expect({ status: printed.status, err: printed.err }).toEqual({ status: 0, err: '' });
    const again = await inside('check', '--print', '--config', file('printed.yaml', printed.out));
    expect(again.out.replace(/^# .*\n/, '')).toBe(printed.out.replace(/^# .*\n/, ''));
  });

  test('--print of an invalid file prints only its problems', async () => {
    const { status, out } = await inside('check', '--print', '--config', file('empty.yaml', ''));
    expect({ status, out }).toEqual({ status: 1, out: '' });
  });

  test('--schema prints the schema of the repository', async () => {
    const committed = readFileSync(new URL('../../config/holdfast.schema.json', import.meta.url), 'utf8');
    expect(await inside('check', '--schema')).toEqual({ status: 0, out: committed, err: '' });
  });

  test('a file that cannot be read is a problem, status 1', async () => {
    expect(await inside('check', '--config', 'nowhere.yaml')).toEqual({
      status: 1,
      out: '',
      err: 'nowhere.yaml: the file does not exist\n',
    });
    expect((await inside('check', '--config', '.')).err).toBe('.: this is a directory, expected a file\n');
  });
});

describe('wrong usage has status 2 and an empty standard output', () => {
  test('of a process', async () => {
    const { status, out, err } = await holdfast();
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toMatch(/^Usage: holdfast/);
  });

  test.each([
    [[], /^Usage: holdfast/],
    [['chekc'], /unknown command 'chekc'\n\(Did you mean check\?\)/],
    [['check'], /name a file by --config FILE/],
    [['check', '--config'], /argument missing/],
    [['check', '--confg', 'x.yaml'], /unknown option '--confg'\n\(Did you mean --config\?\)/],
    [['check', 'x.yaml'], /too many arguments/],
    [['demo', '--servers', '27'], /expected 1 to 26/],
    [['explain', '--pool', 'x', '--ip', '999.1.1.1'], /expected an IP address/],
    [['run', '--config', 'x.yaml', '--log-level', 'loud'], /Allowed choices are debug, info, warn, error/],
    [['run', '--config', 'x.yaml', '--takeover', 'ftp://x'], /expected a URL such as/],
    [['--frobnicate'], /unknown option/],
  ])('holdfast %j', async (args, message) => {
    const { status, out, err } = await commandInside(args);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(err).toMatch(message);
  });
});

describe('help and version have status 0 and an empty standard error', () => {
  test.each([
    [['--help'], /^Usage: holdfast \[options\] \[command\]/],
    [['-h'], /^Usage: holdfast/],
    [['help', 'check'], /^Usage: holdfast check/],
    [['check', '--help'], /Exit status: 0 valid, 1 invalid, 2 wrong usage/],
    [['--version'], /^\d+\.\d+\.\d+\n$/],
  ])('holdfast %j', async (args, message) => {
    const { status, out, err } = await commandInside(args);
    expect({ status, err }).toEqual({ status: 0, err: '' });
    expect(out).toMatch(message);
  });
});
