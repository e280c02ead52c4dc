// File descriptors are a budget. The system gives a process so many; clients must not use up those that health checks,
// admin, log and connections to servers need.
//
//   limit ── open at the start ── reserve (checks, admin, log) ── the rest: half for clients, half for their servers

import { readdirSync, readFileSync } from 'node:fs';
import { SOCKETS_PER_PORT } from '../proxy/open-server.ts';
import type { Revision } from '../shared/revision.ts';
import type { Logger } from './logger.ts';

const ADMIN_CONNECTIONS_MAX = 256;
const ADMIN_CONNECTIONS_MIN = 8;
/** Of the limit, for connections to the admin server. */
const ADMIN_SHARE = 1 / 16;
/** Files that are written, name servers that are asked, a process that takes over. */
const SPARE = 16;
/** Per listener and thread: the sockets, and their duplicates while another process is about to take over. */
const PER_LISTENER = 2 * SOCKETS_PER_PORT;

export interface DescriptorBudget {
  readonly limit: number;
  readonly adminConnections: number;
  /** Kept for everything but traffic. */
  readonly reserve: number;
  /** Client connections at once, over all listeners and threads; at least one. */
  readonly clients: number;
}

/** `open`: descriptors in use before anything listens. Each client may need a connection to a server beside its own. */
export function budgetOf(
  limit: number,
  open: number,
  servers: number,
  listeners: number,
  threads: number,
): DescriptorBudget {
  const share = Math.floor(limit * ADMIN_SHARE);
  const adminConnections = Math.min(ADMIN_CONNECTIONS_MAX, Math.max(ADMIN_CONNECTIONS_MIN, share));
  const reserve = adminConnections + servers + listeners * threads * PER_LISTENER + SPARE;
  const clients = Math.max(1, Math.floor((limit - open - reserve) / 2));
  return { limit, adminConnections, reserve, clients };
}

/** Soft limit of this process (Node raises it to the hard one at its start); null where the system does not say. */
export function descriptorLimit(): number | null {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
    return line === null ? null : Number(line[1]);
  } catch {
    return null;
  }
}

/** Open now; null where the system does not say. O(their number). */
export function openDescriptors(): number | null {
  try {
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return null;
  }
}

/** One line for the log: what there is, what is kept, what is left for clients and what they are allowed by configuration. */
export function describeBudget(budget: DescriptorBudget, configured: number): string {
  const { limit, reserve, clients } = budget;
  const asked = configured === 0 ? 'without a limit' : `up to ${configured}`;
  return `${limit} file descriptors, ${reserve} kept for checks, admin and log: at most ${clients} client connections (limits.connections allows ${asked})`;
}

/** The budget of this process, said in one line; null where the system tells no limit. */
export function planDescriptors(
  revision: Revision,
  threads: number,
  log: Pick<Logger, 'info' | 'warn'>,
): DescriptorBudget | null {
  const [limit, open] = [descriptorLimit(), openDescriptors()];
  if (limit === null || open === null) return null;
  const { listen } = revision.config;
  const servers = revision.pools.reduce((sum, { slots }) => sum + slots.length, 0);
  const budget = budgetOf(limit, open, servers, listen.length, threads);
  const wanted = listen.map(({ limits }) => limits.connections);
  const configured = wanted.includes(0) ? 0 : wanted.reduce((sum, connections) => sum + connections, 0);
  const isShort = configured === 0 || configured > budget.clients;
  log[isShort ? 'warn' : 'info'](describeBudget(budget, configured));
  return budget;
}
