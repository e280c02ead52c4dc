/** Child processes of the benchmark: started, awaited, and stopped by pid in every way this process can end. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTo, createServer } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { pinned } from './cores.ts';

const OUTPUT_CHARS_MAX = 1 << 20;
const STOP_GRACE_MS = 3_000;

/** One running child. `stdout` and `stderr` hold what it wrote so far (bounded). */
export type Child = {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly send: (line: string) => void;
  /** The exit code once it has ended, null before; a signal counts as 1. */
  readonly exitCode: () => number | null;
  readonly exited: Promise<number>;
  /** SIGTERM, and SIGKILL when it has not ended soon after. */
  readonly stop: () => Promise<void>;
};

type Process = ChildProcessByStdio<Writable, Readable, Readable>;

const living = new Set<Process>();
let isGuarded = false;

/** Starts the command on a core (null: any). It is stopped when this process ends, however that comes about. */
export function startChild(command: readonly string[], core: number | null): Child {
  guard();
  const [program, ...args] = pinned(command, core);
  const child: Process = spawn(program!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  living.add(child);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin.on('error', () => {}); // the child may end while we write; its exit is what we look at
  let exitCode: number | null = null;
  const exited = new Promise<number>((resolve) => {
    const end = (code: number | null): void => {
      living.delete(child);
      exitCode = code ?? 1;
      resolve(exitCode);
    };
    child.once('error', () => end(127));
    child.once('close', end);
  });
  const stop = async (): Promise<void> => {
    if (exitCode === null) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await exited;
    clearTimeout(timer);
  };
  return {
    pid: child.pid ?? -1,
    stdout,
    stderr,
    send: (line) => child.stdin.write(`${line}\n`),
    exitCode: () => exitCode,
    exited,
    stop,
  };
}

/** Runs the command to its end and returns what it wrote; an error when it fails or takes too long. */
export async function runChild(command: readonly string[], core: number | null, ms: number): Promise<string> {
  const child = startChild(command, core);
  const timer = setTimeout(() => void child.stop(), ms);
  const code = await child.exited;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${lastLines(child.stderr())}`);
  return child.stdout();
}

/** Polls until `probe` gives something other than null; an error when the child ends or the time is over. */
export async function until<T>(
  child: Child,
  what: string,
  ms: number,
  probe: () => Promise<T | null> | T | null,
) {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = await probe();
    if (found !== null) return found;
    const isLate = performance.now() > deadline;
    if (child.exitCode() !== null || isLate) {
      const why = isLate ? `nothing within ${ms} ms` : `it ended with ${child.exitCode()}`;
      throw new Error(`waiting for ${what}: ${why}; ${lastLines(child.stderr() || child.stdout())}`);
    }
    await delay(20);
  }
}

/** As many different free loopback ports as asked for. All are held at once, then given back. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port from listen');
    ports.push(address.port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** True when something accepts TCP connections on the loopback port. */
export function isAccepting(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTo(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

function collect(stream: Readable): () => string {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (piece: string) => {
    text = (text + piece).slice(-OUTPUT_CHARS_MAX);
  });
  return () => text;
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-4).join(' | ').slice(-600);
}

/** Signals end this process, and its end stops every child still there: asked politely, since nginx has children. */
function guard(): void {
  if (isGuarded) return;
  isGuarded = true;
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.once(signal, () => process.exit(code));
  }
  process.on('exit', () => {
    for (const child of living) child.kill('SIGTERM');
  });
}
