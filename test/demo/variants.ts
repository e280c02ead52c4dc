// Every way a demo backend can keep sessions, and what may be expected of it.
import type { DemoOptions } from '../../demo/launch.ts';

export interface Variant {
  readonly title: string;
  readonly options: DemoOptions;
  /** Another backend knows the session. */
  readonly shared: boolean;
  /** Servers can end a session; otherwise the client's copy works until it expires. */
  readonly revocable: boolean;
  /** Servers know how many sessions there are. */
  readonly counted: boolean;
}

const kept = { revocable: true, counted: true } as const;
const carried = { shared: true, counted: false } as const;

export const SERVER_KEPT: readonly Variant[] = [
  { title: 'memory', options: { architecture: 'memory' }, shared: false, ...kept },
  {
    title: 'replicated, asynchronous',
    options: { architecture: 'replicated', replication: 'async' },
    shared: true,
    ...kept,
  },
  {
    title: 'replicated, synchronous',
    options: { architecture: 'replicated', replication: 'sync' },
    shared: true,
    ...kept,
  },
];

export const DATABASE: Variant = {
  title: 'database',
  options: { architecture: 'database' },
  shared: true,
  ...kept,
};
export const HOME: Variant = { title: 'home', options: { architecture: 'home' }, shared: true, ...kept };
export const REDIS: Variant = { title: 'redis', options: { architecture: 'redis' }, shared: true, ...kept };

export const CLIENT_KEPT: readonly Variant[] = [
  { title: 'cookie', options: { architecture: 'cookie' }, revocable: false, ...carried },
  { title: 'jwt', options: { architecture: 'jwt' }, revocable: false, ...carried },
  {
    title: 'jwt with deny list',
    options: { architecture: 'jwt', denyList: true },
    revocable: true,
    ...carried,
  },
];
