// The one place that knows every session layer.
import { type BackendOptions, REDIS_PASSWORD_VARIABLE } from '../flags.ts';
import type { SessionLayer } from '../session-layer.ts';
import type { UserDirectory } from '../users.ts';
import type { SessionRecords } from './express-store.ts';

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

/** The session layer of `options.architecture`. Only that layer's packages are loaded: a backend starts faster. */
export async function chooseLayer(options: BackendOptions, host: LayerHost): Promise<Chosen> {
  switch (options.architecture) {
    case 'memory': {
      const { MemoryRecords } = await import('./memory.ts');
      return inStore(new MemoryRecords(), options, host);
    }
    case 'replicated': {
      const { ReplicatedRecords } = await import('./replicated.ts');
      return inStore(new ReplicatedRecords(options, host.announce), options, host);
    }
    case 'database': {
      const [{ DatabaseRecords }, { SessiondClient, sessiondDirectory }] = await Promise.all([
        import('./database.ts'),
        import('../sessiond-client.ts'),
      ]);
      const client = new SessiondClient(options.sessiondUrl ?? '', options.secret);
      return {
        ...(await inStore(new DatabaseRecords(client), options, host)),
        directory: sessiondDirectory(client),
      };
    }
    case 'redis': {
      const { RedisRecords } = await import('./redis.ts');
      return inStore(new RedisRecords(options, process.env[REDIS_PASSWORD_VARIABLE] ?? ''), options, host);
    }
    case 'home': {
      const { HomeRecords } = await import('./home.ts');
      const password = process.env[REDIS_PASSWORD_VARIABLE] ?? '';
      // What is slow is the way to the store, which a read at home does not take.
      return inStore(new HomeRecords(options, password, host.storeDelayMs), options, {
        ...host,
        storeDelayMs: () => 0,
      });
    }
    case 'cookie': {
      const { cookieLayer } = await import('./cookie.ts');
      return { layer: cookieLayer(options), directory: null };
    }
    case 'jwt':
      return chooseJwt(options, host);
  }
}

async function inStore(records: SessionRecords, options: BackendOptions, host: LayerHost): Promise<Chosen> {
  const { expressLayer } = await import('./express-store.ts');
  const { limits, cookieName, secret } = options;
  return {
    layer: expressLayer(records, { limits, cookieName, secret, storeDelayMs: host.storeDelayMs }),
    directory: null,
  };
}

async function chooseJwt(options: BackendOptions, host: LayerHost): Promise<Chosen> {
  const { jwtLayer } = await import('./jwt.ts');
  const { SessiondClient } = await import('../sessiond-client.ts');
  const denyList = options.denyList ? new SessiondClient(options.sessiondUrl ?? '', options.secret) : null;
  return { layer: jwtLayer(options, denyList, host.storeDelayMs), directory: null };
}
