// The session store of a demo as the launcher and the lab see it: something outside the backends that can be killed.

/** The session store of a demo. */
export interface DemoStore {
  readonly kind: 'none' | 'sessiond' | 'redis';
  /** Process that kill() ends: sessiond, or the first Redis primary. 0 when there is none. */
  readonly pid: number;
  /** That process runs. True where there is none. */
  readonly isAlive: boolean;
  /** Flags that tell a backend where the store is. */
  readonly backendFlags: readonly string[];
  /** Environment a backend needs to be let in. */
  readonly backendEnvironment: Readonly<Record<string, string>>;
  /** SIGKILL; resolves when it has ended. */
  kill(): Promise<unknown>;
  /** Sends a signal (SIGSTOP, SIGCONT, ...) without waiting for anything. */
  signal(signal: NodeJS.Signals): void;
  /** Starts it again at the same address with whatever it persisted; resolves when it answers. */
  restart(): Promise<void>;
  /** Its memory is full from now on and it evicts nothing: writes are refused, reads are answered. Redis only. */
  fill(): Promise<void>;
  stop(): Promise<void>;
}
