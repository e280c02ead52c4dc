// What a worker listens on that was bound by another. Unix sockets, unlike ports, are bound once: the first worker binds, and
// the others get descriptors of the same. And while a takeover is under way the listening sockets stay those that the next
// process is offered: a worker that restarts listens on what the one before it has left.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  duplicateSockets,
  identityOf,
  type ListeningSocket,
  type PassedSocket,
} from '../base/pass-sockets.ts';
import type { ListenConfig } from '../config/model.ts';
import { makePrivateDirectory } from './takeover/private-directory.ts';

/**
 * Duplicates for a worker that has `own` already: of what it would have to bind although another listens on it (`open`), or
 * although it is offered to the next process (`offered`) and nobody listens on it.
 */
export async function sharedWith(
  own: readonly ListeningSocket[],
  listeners: readonly ListenConfig[],
  open: readonly ListeningSocket[],
  offered: Iterable<ListeningSocket>,
): Promise<readonly PassedSocket[]> {
  const left = notListenedOn(offered, open);
  const wanted = listeners.flatMap(({ address, socket }) => {
    if (own.some((held) => held.address === address)) return [];
    const shared = socket === null ? undefined : open.find((held) => held.address === address);
    return shared === undefined ? left.filter((held) => held.address === address) : [shared];
  });
  if (wanted.length === 0) return [];
  const directory = makePrivateDirectory();
  try {
    return await duplicateSockets(join(directory, 'shared'), wanted);
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
