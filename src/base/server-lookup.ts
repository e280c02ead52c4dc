// Addresses of servers that are given by name, as the system finds them. Who cannot be asked for now has not moved: where a
// look fails, finds nothing or takes long, the last answer stands, as it does for servers that discovery finds. Otherwise a
// name server that is away for a second would take all servers down, and their sessions with them.
//
// Of each name one look is under way at a time: looks that hang keep the few threads that Node has for them, and for files.

import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { runningScheduler, type Scheduler } from './scheduler.ts';

/** As node:net asks. */
type Found = (error: Error | null, address: string | LookupAddress[], family?: number) => void;
export type ServerLookup = (name: string, options: LookupOptions, found: Found) => void;

/**
 * A name without the dot at its end, which says that it is complete and no search list is to be tried. It is where the name is
 * looked up that says so: RFC 6066 section 3 has none in a handshake, nor has a certificate.
 */
export function withoutRootDot(host: string): string {
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

/** A look that takes longer has failed, for whoever may go by the last answer. */
const LATE_MS = 500;
/** Names are of configurations; old ones need not stay for ever. */
const NAMES_MAX = 4096;

interface Name {
  /** Null: none yet. */
  last: { readonly address: string | LookupAddress[]; readonly family: number | undefined } | null;
  /** Who waits for the look that is under way; null: there is none. */
  waiting: Found[] | null;
}

export function serverLookup(ask: ServerLookup, scheduler: Scheduler): ServerLookup {
  const names = new Map<string, Name>();
  const nameOf = (key: string): Name => {
    const known = names.get(key);
    if (known !== undefined) return known;
    const [oldest] = names.keys();
    if (names.size >= NAMES_MAX && oldest !== undefined) names.delete(oldest);
    const made: Name = { last: null, waiting: null };
    names.set(key, made);
    return made;
  };
  return (host, options, found) => {
    const name = nameOf(`${host} ${options.family} ${options.hints} ${options.all}`);
    const { last, waiting } = name;
    // not before whoever asks has returned
    if (waiting !== null && last !== null) setImmediate(found, null, last.address, last.family);
    else if (waiting !== null) waiting.push(found);
    else look(name, host, options, found);
  };

  function look(name: Name, host: string, options: LookupOptions, first: Found): void {
    name.waiting = [first];
    const late = scheduler.after(LATE_MS, () => {
      if (name.last === null) return;
      const { address, family } = name.last;
      for (const found of take(name, [])) found(null, address, family);
    });
    ask(host, options, (error, address, family) => {
      late.cancel();
      if (error === null) name.last = { address, family };
      const { last } = name;
      for (const found of take(name, null)) {
        if (last === null) found(error, address, family);
        else found(null, last.address, last.family);
      }
    });
  }
}

/** Before anybody is told: who is may ask again. */
function take(name: Name, next: Found[] | null): readonly Found[] {
  const { waiting } = name;
  name.waiting = next;
  return waiting ?? [];
}

/** For all connections to servers, checks included; each thread has its own. */
export const lookupServer: ServerLookup = serverLookup(lookup as ServerLookup, runningScheduler);
