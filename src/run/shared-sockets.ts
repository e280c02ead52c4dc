// What a worker listens on that was bound by another. Unix sockets, unlike ports, are bound once: the first worker binds, and
// the others get descriptors of the same. And while a takeover is under way the listening sockets stay those that the next
// process is offered: a worker that restarts listens on what the one before it has left.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { duplicateSockets, identityOf, type ListeningSocket } from '../base/pass-sockets.ts';
import type { ListenConfig } from '../config/model.ts';
import type { Descriptors } from './messages.ts';
import { makePrivateDirectory } from './takeover/private-directory.ts';

/**
 * Descriptors by listener for a worker that listens on `own` already and is dealt `dealt`. Where it would have to bind what
 * another listens on (`open`), or what is offered to the next process (`offered`) and nobody listens on, it gets duplicates.
 */
export async function withShared(
  listeners: readonly ListenConfig[],
  dealt: Descriptors,
  own: readonly ListeningSocket[],
  open: readonly ListeningSocket[],
  offered: Iterable<ListeningSocket>,
): Promise<Descriptors> {
  const left = notListenedOn(offered, open);
  const wanted = listeners.flatMap(({ address, socket }, index) => {
    if ((dealt[index]?.length ?? 0) > 0 || own.some((held) => held.address === address)) return [];
    const shared = socket === null ? undefined : open.find((held) => held.address === address);
    return shared === undefined ? left.filter((held) => held.address === address) : [shared];
  });
  if (wanted.length === 0) return dealt;
  const directory = makePrivateDirectory();
  try {
    const copies = await duplicateSockets(join(directory, 'shared'), wanted);
    return listeners.map(({ address }, index) => {
      const fds = copies.filter((copy) => copy.address === address).map(({ fd }) => fd);
      return fds.length === 0 ? (dealt[index] ?? []) : fds;
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Each once, however often it is offered. */
function notListenedOn(
  offered: Iterable<ListeningSocket>,
  open: readonly ListeningSocket[],
): readonly ListeningSocket[] {
  const known = new Set(open.map(({ fd }) => identityOf(fd)));
  return [...offered].filter(({ fd }) => {
    const identity = identityOf(fd);
    if (identity === null || known.has(identity)) return false;
    known.add(identity);
    return true;
  });
}
