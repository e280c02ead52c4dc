// What an architecture keeps its sessions in outside the backends, as processes one can kill.
import type { Architecture } from './session-layer.ts';

/** Which Redis: one server without persistence, one with an append-only file, or primary, replica and Sentinels. */
export type RedisKind = 'single' | 'aof' | 'sentinel';

/** The session store of a demo. */
export interface DemoStore {
  readonly kind: 'none' | 'sessiond' | 'redis';
  /** Process that dies in kill(): sessiond, or the Redis primary. 0 when there is none. */
  readonly pid: number;
  /** Flags that tell a backend where the store is. */
  readonly backendFlags: readonly string[];
  /** SIGKILL; resolves when it has ended. */
  kill(): Promise<void>;
  signal(signal: NodeJS.Signals): void;
  /** Starts it again at the same address with whatever it persisted; resolves when it is ready. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** What to start. */
export interface StoreRequest {
  readonly architecture: Architecture;
  readonly secret: string;
  readonly redis?: RedisKind | undefined;
  readonly denyList?: boolean | undefined;
}

/** The store of architectures that have none. */
export const noStore: DemoStore = {
  kind: 'none',
  pid: 0,
  backendFlags: [],
  kill: () => Promise.resolve(),
  signal: () => {},
  restart: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

/** Starts the store that the architecture needs and resolves when it answers. */
export function startStore(request: StoreRequest): Promise<DemoStore> {
  switch (request.architecture) {
    default:
      return Promise.resolve(noStore);
  }
}
