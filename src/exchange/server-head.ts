// What one server has differently in the heads it is sent. Made from the head that is the same for all servers, when it is
// sent: an attempt may go to another server than the one before.

import { authorityOf } from '../config/address.ts';
import type { ServerAddress } from '../config/model.ts';

export interface HeadChange {
  /** Put before the path; '' for nothing. */
  readonly basePath: string;
  /** Host field; null: as it is. */
  readonly host: string | null;
}

/** A head that we make has exactly one. */
const HOST_LINE = /\r\nhost:[^\r]*/i;

/** Null: the head is sent as it is. `host` as PoolConfig has it. */
export function headChangeFor(server: ServerAddress, host: string): HeadChange | null {
  if (host === 'keep' && server.basePath === '') return null;
  if (host === 'keep') return { basePath: server.basePath, host: null };
  return { basePath: server.basePath, host: host === 'server' ? authorityOf(server) : host };
}

/** The head of a request, in origin-form or asterisk-form, as that server wants it. */
export function changedHead(text: string, { basePath, host }: HeadChange): string {
  // a function, because a replacement text has patterns of its own
  const named = host === null ? text : text.replace(HOST_LINE, () => `\r\nhost: ${host}`);
  const path = named.indexOf(' ') + 1;
  return basePath === '' || named[path] === '*' ? named : named.slice(0, path) + basePath + named.slice(path);
}
