// The new process's side of a takeover: asks the running one, and takes in what it still learns while it finishes.

import { existsSync, readFileSync, statSync } from 'node:fs';
import type { HoldfastConfig } from '../config/model.ts';
import { ListenError } from './fleet.ts';
import { type Handover, readHandover, removeHandover, sessionsIn } from './handover.ts';
import type { Logger } from './logger.ts';

const ASK_MS = 10_000;
const LOOK_EVERY_MS = 50;
/** How much longer than its grace the old process may take before we stop waiting for its last sessions. */
const LATE_MS = 5000;
/**
 * Measured with 2500 new connections a second on two overloaded cores, six takeovers: 2 to 22 of 45 000 connections
 * reset without it, 0 of 112 000 with it.
 */
const MIGRATION_HINT =
  'with sysctl net.ipv4.tcp_migrate_req=1 the kernel keeps the last connections too that come while the old listeners close';

/** The part of the new balancer that is needed here. */
export interface Heir {
  readonly isStopping: boolean;
  /** Takes in the saved sessions that it does not know. */
  takeIn(sessionsFile: string): void;
}

export class Takeover {
  readonly handover: Handover;
  readonly directory: string;
  readonly #url: string;
  readonly #token: string;

  private constructor(handover: Handover, directory: string, url: string, token: string) {
    this.handover = handover;
    this.directory = directory;
    this.#url = url;
    this.#token = token;
  }

  /** Asks the process whose admin server is at `url`; '' is the configured address. Rejects with ListenError. */
  static async ask(config: HoldfastConfig, url: string): Promise<Takeover> {
    const { admin } = config;
    if (admin === null)
      throw new ListenError('cannot take over: "admin" is off, and it is what the processes talk by');
    const base = url === '' ? adminUrlOf(admin) : url.replace(/\/$/, '');
    const directory = await post(base, admin.token, {});
    const handover = readHandover(directory);
    if (handover === null)
      throw new ListenError(`cannot take over: ${directory} cannot be read by this user`);
    return new Takeover(handover, directory, base, admin.token);
  }

  /** Port that the old process has for the listener with this address, null when it has none. */
  portOf(address: string): number | null {
    return this.handover.listeners.find((listener) => listener.address === address)?.port ?? null;
  }

  get sessionsFile(): string {
    return sessionsIn(this.directory);
  }

  /** We listen: the old process stops accepting. Then its newer sessions are taken in. */
  async complete(balancer: Heir, log: Logger): Promise<void> {
    await post(this.#url, this.#token, { ticket: this.handover.ticket });
    balancer.takeIn(this.sessionsFile);
    log.info({ pid: this.handover.pid }, 'took over: the old process finishes what is in flight');
    if (isMigrationOff()) log.info(MIGRATION_HINT);
  }

  /** Takes in what the old process saves until it has gone. Resolves then. */
  async follow(balancer: Heir, graceMs: number): Promise<void> {
    const endMs = performance.now() + graceMs + LATE_MS;
    let readMs = 0;
    while (performance.now() < endMs && !balancer.isStopping) {
      const isOver = !isAlive(this.handover.pid);
      const savedMs = existsSync(this.sessionsFile) ? statSync(this.sessionsFile).mtimeMs : 0;
      if (savedMs > readMs) balancer.takeIn(this.sessionsFile);
      readMs = savedMs;
      if (isOver) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    removeHandover(this.directory);
  }
}

/** Linux: whether connections that wait for a closing listener are reset instead of going to another of its port. */
function isMigrationOff(): boolean {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'utf8').trim() === '0';
  } catch {
    return false;
  }
}

function adminUrlOf({ host, port }: { readonly host: string; readonly port: number }): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** Resolves with the directory. */
async function post(base: string, token: string, body: object): Promise<string> {
  const headers = {
    'content-type': 'application/json',
    ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
  };
  let response: Response;
  try {
    const signal = AbortSignal.timeout(ASK_MS);
    response = await fetch(`${base}/api/takeover`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    const { cause } = error as Error;
    throw new ListenError(
      `cannot take over from ${base}: ${cause instanceof Error ? cause.message : String(error)}`,
    );
  }
  const answer = (await response.json().catch(() => null)) as {
    readonly directory?: string;
    readonly error?: { readonly message?: string };
  } | null;
  if (response.ok && typeof answer?.directory === 'string') return answer.directory;
  throw new ListenError(
    `cannot take over from ${base}: ${answer?.error?.message ?? `status ${response.status}`}`,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
