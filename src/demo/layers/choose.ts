// The one place that knows every session layer.
import type { BackendOptions } from '../flags.ts';
import type { SessionLayer } from '../session-layer.ts';
import { SessiondClient, sessiondDirectory } from '../sessiond-client.ts';
import type { UserDirectory } from '../users.ts';
import { cookieLayer } from './cookie.ts';
import { DatabaseRecords } from './database.ts';
import { expressLayer, type SessionRecords } from './express-store.ts';
import { jwtLayer } from './jwt.ts';
import { MemoryRecords } from './memory.ts';
import { REDIS_PASSWORD_VARIABLE, RedisRecords } from './redis.ts';
import { ReplicatedRecords } from './replicated.ts';

/** A session layer and, where the architecture has a user database, that. */
export interface Chosen {
  readonly layer: SessionLayer;
  readonly directory: UserDirectory | null;
}

/** What a layer may ask of its process. */
export interface LayerHost {
  /** Read at every store operation. */
  readonly storeDelayMs: () => number;
  /** Prints one line on standard output. */
  readonly announce: (line: string) => void;
}

/** The session layer of `options.architecture`. */
export function chooseLayer(options: BackendOptions, host: LayerHost): Chosen {
  const { storeDelayMs } = host;
  const { limits, cookieName, secret } = options;
  const inStore = (records: SessionRecords): Chosen => ({
    layer: expressLayer(records, { limits, cookieName, secret, storeDelayMs }),
    directory: null,
  });
  switch (options.architecture) {
    case 'memory':
      return inStore(new MemoryRecords());
    case 'replicated':
      return inStore(new ReplicatedRecords(options, host.announce));
    case 'database': {
      const client = sessiond(options);
      return { ...inStore(new DatabaseRecords(client)), directory: sessiondDirectory(client) };
    }
    case 'redis':
      return inStore(new RedisRecords(options, process.env[REDIS_PASSWORD_VARIABLE] ?? ''));
    case 'cookie':
      return { layer: cookieLayer(options), directory: null };
    case 'jwt':
      return {
        layer: jwtLayer(options, options.denyList ? sessiond(options) : null, storeDelayMs),
        directory: null,
      };
  }
}

function sessiond(options: BackendOptions): SessiondClient {
  return new SessiondClient(options.sessiondUrl ?? '', options.secret);
}
