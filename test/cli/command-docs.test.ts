// Help, docs/commands.md, man page and completion come from one table.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { packageVersion } from '../../src/base/version.ts';
import { commandReference, manPage } from '../../src/cli/command-docs.ts';
import { commandTable } from '../../src/cli/command-table.ts';
import { completionScript } from '../../src/cli/completion.ts';
import { createProgram } from '../../src/cli.ts';
import { needs } from '../support/needs.ts';

const COMMANDS = commandTable(createProgram([]));

function written(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

test('docs/commands.md and the man page are in step: `npm run docs` writes them', () => {
  expect(commandReference(COMMANDS) === written('docs/commands.md')).toBe(true);
  expect(manPage(COMMANDS, packageVersion()) === written('docs/holdfast.1')).toBe(true);
});

test('the man page names every command and option, and the package ships it', () => {
  const page = written('docs/holdfast.1').replaceAll('\\-', '-');
  const missing = COMMANDS.flatMap(({ name, options }) => [
    `.SS "holdfast ${name}`,
    ...options.map(({ flags }) => `.B ${flags}`),
  ]).filter((text) => !page.includes(text));
  expect(missing).toEqual([]);
  const manifest = JSON.parse(written('package.json'));
  expect([manifest.man, manifest.files.includes('docs')]).toEqual(['./docs/holdfast.1', true]);
});

describe('completion', () => {
  /** What bash offers at the end of the words. */
  function offered(...words: string[]): string[] {
    const script = completionScript('bash', COMMANDS);
    const line = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}`;
    const print = `_holdfast; [ \${#COMPREPLY[@]} = 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = execFileSync('bash', ['-c', `${script}\n${line}\n${print}`], { encoding: 'utf8' });
    return out.split('\n').filter((word) => word !== '');
  }

  test('in bash: commands, options of the command, words of the option', () => {
    expect(offered('holdfast', 'dr')).toEqual(['drain']);
    expect(offered('holdfast', 'drain', '--d')).toEqual(['--deadline']);
    expect(offered('holdfast', 'run', '--log-level', 'w')).toEqual(['warn']);
    expect(offered('holdfast', 'run', '-c', 'package-l')).toEqual(['package-lock.json']);
    expect(offered('holdfast', 'completion', '')).toEqual(['bash', 'zsh', 'fish', '--help']);
    expect(offered('holdfast', 'plan', 'dr')).toEqual(['drain']);
    expect(offered('holdfast', 'nonsense', '')).toEqual([]);
  });

  test.for(['zsh', 'fish'] as const)('in %s: the script is one', (shell, { skip }) => {
    const program = needs(shell, skip);
    const script = completionScript(shell, COMMANDS);
    if (shell === 'zsh') {
      expect(execFileSync(program, ['-n'], { input: script, encoding: 'utf8', stdio: 'pipe' })).toBe('');
      return;
    }
    const ask = `${script}\ncomplete -C 'holdfast drain --dead'`;
    expect(execFileSync(program, ['--no-config', '-c', ask], { encoding: 'utf8' })).toMatch(/^--deadline\t/);
    const words = `${script}\ncomplete -C 'holdfast plan dr'; complete -C 'holdfast completion z'`;
    expect(execFileSync(program, ['--no-config', '-c', words], { encoding: 'utf8' })).toBe('drain\nzsh\n');
  });

  test('in zsh: words of the argument; a colon in the name of a value does not end the name', ({ skip }) => {
    /** What the completion of zsh is told. */
    const told = (command: string): readonly string[] => {
      const stubs = 'compdef() { : }; _arguments() { print -rl -- "$@" }';
      const ask = `words=(holdfast ${command} ''); CURRENT=3; _holdfast`;
      const script = completionScript('zsh', COMMANDS);
      return execFileSync(needs('zsh', skip), ['-fc', `${stubs}\n${script}\n${ask}`], {
        encoding: 'utf8',
      }).split('\n');
    };
    expect(told('plan')).toContain('1:word:(drain add remove)');
    expect(told('completion')).toContain('1:word:(bash zsh fish)');
    expect(told('explain').find((spec) => spec.startsWith('--header['))).toMatch(/\]:name\\:value:$/);
  });
});
