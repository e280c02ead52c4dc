// One child process of the demo: started, waited for until it says it is ready, ended.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CODE_CACHE = 'NODE_COMPILE_CACHE';
/** How long a child may take to become ready. */
export const READY_MS_MAX = 30_000;
/** How long a child may take to end by itself before it is killed. */
const END_MS_MAX = 6000;
/** How much of a child's error output is kept for the message. */
const ERROR_TEXT_MAX = 4000;

/** What to start and how to know that it is ready. */
export interface ChildPlan {
  /** For messages: "backend a". */
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Text written to the child's standard input, for configuration that must not show in `ps`. */
  readonly input?: string;
  /** Folder to delete when this process dies without stopping the child. */
  readonly folder?: string;
  /** The child is one of ours: it has an IPC channel and exits when that closes. */
  readonly ours: boolean;
  /** True once everything printed so far says that the child is ready. */
  readonly isReady: (output: string) => boolean;
}

/** A started child. */
export interface Child {
  readonly pid: number;
  /** Everything it printed until it was ready. */
  readonly output: string;
  /** Resolves with the exit code (null: ended by a signal) once it has ended. */
  readonly ended: Promise<number | null>;
  readonly isAlive: boolean;
  /** Sends a signal and resolves like `ended`. A child that takes too long is killed. */
  end(signal: NodeJS.Signals): Promise<number | null>;
  /** Sends a signal and waits for nothing; does nothing to a child that has ended. */
  signal(signal: NodeJS.Signals): void;
}

/** A child could not be started; the message says which, why, and what helps. */
export class ChildFailure extends Error {
  override readonly name = 'ChildFailure';
}

/**
 * Runs `work`; Node programs started meanwhile keep what they have compiled in one folder, which is gone afterwards.
 * For whoever starts the same programs again and again.
 */
export async function withCodeCache<T>(work: () => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-code-'));
  const { [CODE_CACHE]: before } = process.env;
  process.env[CODE_CACHE] = folder;
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env[CODE_CACHE];
    else process.env[CODE_CACHE] = before;
    await rm(folder, { recursive: true, force: true });
  }
}

/** The path of an entry file beside this one. */
export function entryPath(name: 'backend' | 'sessiond'): string {
  return fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
}

/** Starts a child and waits until it is ready; rejects with ChildFailure and leaves nothing running otherwise. */
export async function startChild(plan: ChildPlan, readyMsMax: number = READY_MS_MAX): Promise<Child> {
  const process_ = spawn(plan.command, plan.args, {
    stdio: ['pipe', 'pipe', 'pipe', plan.ours ? 'ipc' : 'ignore'],
    env: { ...process.env, ...plan.environment },
  });
  let isAlive = true;
  const ended = new Promise<number | null>((resolve) => {
    const end = (code: number | null): void => {
      isAlive = false;
      resolve(code);
    };
    process_.once('exit', end);
    process_.once('error', () => end(null));
  });
  // A child that ends before it has read its input is reported by its exit, not by the broken pipe.
  process_.stdin?.on('error', () => {});
  process_.stdin?.end(plan.input ?? '');
  if (!plan.ours) guard(process_, ended, plan.folder ?? '');
  const output = await untilReady(process_, plan, readyMsMax);
  return {
    pid: process_.pid ?? 0,
    output,
    ended,
    get isAlive() {
      return isAlive;
    },
    end: (signal) => endChild(process_, ended, signal),
    signal: (signal) => {
      process_.kill(signal);
    },
  };
}

/** A foreign program does not know that it must die with us: a shell waits for our end of a pipe to close. */
function guard(child: ChildProcess, ended: Promise<unknown>, folder: string): void {
  if (child.pid === undefined) return;
  const script = 'trap "" INT TERM; cat >/dev/null; kill -9 "$1" 2>/dev/null; [ -z "$2" ] || rm -rf "$2"';
  const shell = spawn('sh', ['-c', script, 'sh', String(child.pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  void ended.then(() => shell.kill('SIGKILL'));
}

async function endChild(
  child: ChildProcess,
  ended: Promise<number | null>,
  signal: NodeJS.Signals,
): Promise<number | null> {
  child.kill(signal);
  // A stopped (SIGSTOP) process holds SIGTERM back, SIGKILL ends it all the same.
  const killing = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX);
  const code = await ended;
  clearTimeout(killing);
  return code;
}

function untilReady(child: ChildProcess, plan: ChildPlan, readyMsMax: number): Promise<string> {
  let output = '';
  let errors = '';
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(deadline);
      child.kill('SIGKILL');
      const said = errors.trim() === '' ? output.trim() : errors.trim();
      reject(new ChildFailure(`${plan.title} ${why}${said === '' ? '' : `: ${said}`}`));
    };
    const deadline = setTimeout(() => fail(`was not ready within ${readyMsMax / 1000} s`), readyMsMax);
    child.once('error', (error) => fail(`could not be started (${error.message})`));
    // `close` comes after the last byte of both streams, so the message holds everything the child said.
    child.once('close', (code, signal) => fail(`ended with ${signal ?? `code ${code}`} before it was ready`));
    child.stderr?.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-ERROR_TEXT_MAX);
    });
    child.stdout?.on('data', (chunk: Buffer) => {
      // Read on after readiness as well, so that the pipe never fills.
      if (output.length < 1 << 20) output += chunk.toString();
      if (!plan.isReady(output)) return;
      clearTimeout(deadline);
      resolve(output);
    });
  });
}

/** The address a child announced as `WHAT http://…`; throws when it did not. */
export function announced(output: string, what: string): string {
  const found = new RegExp(`^${what} (\\S+)$`, 'm').exec(output)?.[1];
  if (found === undefined) throw new ChildFailure(`a child did not announce "${what}": ${output.trim()}`);
  return found;
}
