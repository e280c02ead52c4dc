// Runs `holdfast COMMAND` and keeps what it says: as a real process, or inside the test's where the process is not the point.

import { type ChildProcess, spawn } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { register as registerDemo } from '../../demo/command.ts';
import { register as registerLab } from '../../lab/command.ts';
import { main } from '../../src/cli.ts';
import { launcherFor } from './launcher.ts';

export interface Outcome {
  /** null: ended by a signal. */
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  out(): string;
  err(): string;
  readonly ended: Promise<Outcome>;
}

type Environment = Readonly<Record<string, string>>;

/** Starts the command; it is killed when the test ends. Admin variables of the caller's environment are not passed on. */
export function startCommand(args: readonly string[], env: Environment = {}): RunningCommand {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_'));
  const child = spawn(process.execPath, [launcherFor(args[0]), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...Object.fromEntries(inherited), ...env },
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  const ended = new Promise<Outcome>((resolve) => {
    child.on('close', (status) => resolve({ status, out, err }));
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  return { child, out: () => out, err: () => err, ended };
}

export function command(args: readonly string[], env: Environment = {}): Promise<Outcome> {
  return startCommand(args, env).ended;
}

let former: Promise<unknown> = Promise.resolve();

/**
 * As `command`, for a command that ends by itself, inside this process: a new one takes longer than most commands do. One
 * after the other, since standard streams, environment, folder and exit status are the process's own.
 */
export function commandInside(
  args: readonly string[],
  env: Environment = {},
  folder: string = process.cwd(),
): Promise<Outcome> {
  const outcome = former.then(() => runInside(args, env, folder));
  former = outcome.catch(() => undefined);
  return outcome;
}

async function runInside(args: readonly string[], env: Environment, folder: string): Promise<Outcome> {
  const own = { env: process.env, exitCode: process.exitCode, folder: process.cwd() };
  const others = Object.entries(own.env).filter(([name]) => !name.startsWith('HOLDFAST_'));
  const [output, errors] = [capture(process.stdout), capture(process.stderr)];
  process.env = { ...Object.fromEntries(others), ...env };
  process.exitCode = undefined;
  process.chdir(folder);
  try {
    const status = await main([process.execPath, 'holdfast', ...args], [registerDemo, registerLab]);
    return { status, out: output.text(), err: errors.text() };
  } finally {
    process.chdir(own.folder);
    process.env = own.env;
    process.exitCode = own.exitCode;
    output.end();
    errors.end();
  }
}

interface Captured {
  text(): string;
  end(): void;
}

/** What is written to the stream until `end`, as to a file. */
function capture(stream: NodeJS.WriteStream): Captured {
  const { write, isTTY } = stream;
  const listeners = stream.listeners('error');
  let text = '';
  stream.isTTY = false;
  stream.write = (chunk: string | Uint8Array): boolean => {
    text += String(chunk);
    return true;
  };
  return {
    text: () => text,
    end: () => {
      Object.assign(stream, { write, isTTY });
      for (const listener of stream.listeners('error'))
        if (!listeners.includes(listener)) stream.off('error', listener as () => void);
    },
  };
}
