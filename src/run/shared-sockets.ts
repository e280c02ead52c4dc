// Unix sockets, unlike ports, are bound once: the first worker binds, and the others get descriptors of the same.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { duplicateSockets, type ListeningSocket } from '../base/pass-sockets.ts';
import type { ListenConfig } from '../config/model.ts';
import type { Descriptors } from './messages.ts';
import { makePrivateDirectory } from './takeover/private-directory.ts';

/**
 * Descriptors by listener for a worker that listens on `own` already and is dealt `dealt`. Where it would have to bind
 * what another listens on (`open`), it gets a duplicate.
 */
export async function withShared(
  listeners: readonly ListenConfig[],
  dealt: Descriptors,
  own: readonly ListeningSocket[],
  open: readonly ListeningSocket[],
): Promise<Descriptors> {
  const wanted = listeners.flatMap(({ address, socket }, index) => {
    const has = (dealt[index]?.length ?? 0) > 0 || own.some((held) => held.address === address);
    const shared = socket === null || has ? undefined : open.find((held) => held.address === address);
    return shared === undefined ? [] : [shared];
  });
  if (wanted.length === 0) return dealt;
  const directory = makePrivateDirectory();
  try {
    const copies = await duplicateSockets(join(directory, 'shared'), wanted);
    return listeners.map(({ address }, index) => {
      const copy = copies.find((candidate) => candidate.address === address);
      return copy === undefined ? (dealt[index] ?? []) : [copy.fd];
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
