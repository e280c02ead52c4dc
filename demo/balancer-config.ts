// The balancer configuration that goes with a demo: YAML text, as a user would write it.
import { stringify } from 'yaml';
import { defaultCookieName } from './flags.ts';
import type { Architecture } from './session-layer.ts';

/** How the demo's balancer checks its servers; a check may take as long as the interval. */
export const DEMO_HEALTH = { intervalMs: 500, rise: 1, fall: 2 } as const;

/** Sessions that have a backup are moved to where there are too few; at once, as a demo has not all day. */
export const HOME_REBALANCE = { mode: 'on', start: 1.1, stop: 1.02, budget: '50%', every: '1s' } as const;

/** Options of demoBalancerConfig. */
export interface DemoBalancerOptions {
  readonly architecture: Architecture;
  /**
   * Sticky mode; default: cookie-hash of the application's cookie where sessions have a home, none where all servers
   * are alike to them.
   */
  readonly sticky?: string;
  /** host:port of the balancer. */
  readonly listen: string;
  /** https, with a certificate that signs itself. */
  readonly tls?: boolean;
  /** host:port of the admin server. */
  readonly admin: string;
  /** Number of data-plane threads; default auto. */
  readonly threads?: number | 'auto';
  /** Placement of requests without a home; default least-sessions where sticky, else round-robin. */
  readonly policy?: string;
  /** Health check interval; default that of DEMO_HEALTH, so that a killed backend shows at once. */
  readonly healthInterval?: string;
  /** Keys the balancer's cookie, so that a restarted balancer still believes it; default: made anew at each start. */
  readonly secret?: string;
}

/** True when any server can serve any session, so that the balancer may move them. */
export function isShared(architecture: Architecture): boolean {
  return architecture !== 'memory';
}

/** True when a session is better served where it lives. */
function hasHomes(architecture: Architecture): boolean {
  return architecture === 'memory' || architecture === 'home';
}

/** YAML text of a balancer in front of `backends`, in one pool named demo. */
export function demoBalancerConfig(
  backends: readonly { readonly name: string; readonly url: string }[],
  options: DemoBalancerOptions,
): string {
  const shared = isShared(options.architecture);
  const mode = options.sticky ?? (hasHomes(options.architecture) ? 'cookie-hash' : 'none');
  const interval = options.healthInterval ?? `${DEMO_HEALTH.intervalMs}ms`;
  const secret = options.secret === undefined || !mode.startsWith('cookie') ? {} : { secret: options.secret };
  const sticky = { mode, ...stickyKey(mode, options), ...secret };
  return stringify({
    threads: options.threads ?? 'auto',
    listen: [{ address: options.listen, ...(options.tls === true ? { tls: { selfSigned: true } } : {}) }],
    admin: { address: options.admin },
    pools: {
      demo: {
        policy: options.policy ?? (mode === 'none' ? 'round-robin' : 'least-sessions'),
        sticky,
        state: shared ? 'shared' : 'local',
        ...(options.architecture === 'home' && mode !== 'none' ? { rebalance: HOME_REBALANCE } : {}),
        health: {
          path: '/healthz',
          interval,
          timeout: interval,
          rise: DEMO_HEALTH.rise,
          fall: DEMO_HEALTH.fall,
        },
        servers: backends.map(({ name, url }) => ({ url, name })),
      },
    },
  });
}

/**
 * Learning reads the application's own cookie. So does the demo's default: then the balancer's sessions begin and end
 * with the application's, and both count the same. A mode asked for by name mints its cookie.
 */
function stickyKey(mode: string, options: DemoBalancerOptions): Readonly<Record<string, string>> {
  if (mode === 'header-hash') return { header: 'x-session-id' };
  const isDefault = mode === 'cookie-hash' && options.sticky === undefined;
  return mode === 'learn' || isDefault ? { cookie: defaultCookieName(options.architecture) } : {};
}
