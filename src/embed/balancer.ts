// A balancer inside the user's own Node process: the same configuration, choosing, affinity, health and metrics as
// the standalone program, on the user's node:http server, without threads. http-proxy carries the bytes.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ControlSource, controlSource, statusOf } from '../admin/control-source.ts';
import type { AdminServer } from '../admin/server.ts';
import { checkServerChange } from '../admin/server-change.ts';
import type { AdminSource } from '../admin/source.ts';
import { type StatusDocument, unreadyReasons } from '../admin/status.ts';
import { systemClock } from '../base/clock.ts';
import type { LogLevel } from '../base/log.ts';
import { systemScheduler } from '../base/scheduler.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { ControlPlane } from '../control/control-plane.ts';
import type {
  ChangeResult,
  ExplainResult,
  PlanResult,
  ReloadResult,
  ServerChange,
} from '../control/results.ts';
import type { ReadConfig } from '../control/revising.ts';
import type { MetricsPage } from '../metrics/registry.ts';
import type { PlanAction } from '../sessions/plan.ts';
import { openAdmin } from './admin.ts';
import { ConfigError, type ConfigInput, readConfigInput } from './config-input.ts';
import { DataPath } from './data-path.ts';
import { FaultWarnings } from './fault-warnings.ts';
import { type HttpProxy, httpProxyOf } from './http-proxy.ts';
import { Intake } from './intake.ts';
import { Mount } from './mount.ts';
import type { NodeRequest, NodeResponse } from './node-messages.ts';
import { type BalancerOptions, logOf, transitionListener } from './options.ts';
import { type BalancerQuestion, questionOf } from './question.ts';

/** Handler for node:http, the compatibility API of node:http2, Express and Connect. A request that no route matches goes to `next`, or gets a 404 without. */
export type Middleware = (
  request: NodeRequest,
  response: NodeResponse,
  next?: (error?: unknown) => void,
) => void;

/** Made by createBalancer. */
export class EmbeddedBalancer {
  /**
   * The http-proxy server that forwards: `proxy.on('proxyReq' | 'proxyRes' | 'proxyReqWs' | 'error', ...)` as its
   * manual says. 'error' comes once for a request that failed for good, not for attempts that were repeated; whoever
   * answers in it replaces the balancer's own reply.
   */
  readonly proxy: HttpProxy;
  readonly #control: ControlPlane;
  readonly #source: ControlSource;
  readonly #path: DataPath;
  readonly #intake: Intake;
  readonly #options: BalancerOptions;
  #file: string | null;
  #admin: AdminServer | null = null;
  #closing: Promise<void> | null = null;

  /** @internal made by createBalancer */
  constructor(control: ControlPlane, proxy: HttpProxy, file: string | null, options: BalancerOptions) {
    this.#options = options;
    this.#file = file;
    this.#control = control;
    this.#source = controlSource(control);
    const onAccessLines = (lines: string): void => control.accessLog.add(lines);
    const warnings = new FaultWarnings((text) => process.emitWarning(text, 'HoldfastWarning'));
    const onThrown = (error: Error): void => {
      const message = `a request ended by a fault: ${error.message}`;
      if (options.log === undefined) warnings.note(error.stack ?? message, systemClock.nowMs());
      else options.log.warn({ stack: error.stack }, message);
    };
    const log = (_level: LogLevel, message: string): void => control.log.warn({}, message);
    const { shared } = control;
    const answersItself = options.selfHandleResponse === true;
    this.proxy = proxy;
    this.#path = new DataPath(
      { shared, proxy, answersItself, onAccessLines, onThrown, log },
      control.revision,
    );
    this.#intake = new Intake(this.#path);
    control.onRevision = (revision) => this.#path.apply(revision);
    control.watch();
    control.sweep();
    void control.keep();
  }

  /**
   * The handler to mount: `createServer(balancer.middleware())`, `app.use(balancer.middleware())`. Put it before body
   * parsers: a body that was read already is made again from `request.body`, or is an error. Routes see `request.url`, which is what is forwarded.
   */
  middleware(): Middleware {
    return (request, response, next) => this.#intake.handle(request, response, next);
  }

  /**
   * For `server.on('upgrade', balancer.upgrade)`. Takes WebSockets; to other upgrades the servers answer as to requests
   * without. What no route matches is left to the server's other listeners, where it has any.
   */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    this.#intake.upgrade(request, socket, head);
  };

  /**
   * The handlers for what is below a path, which both take off: `const shop = balancer.mount('/shop')`, then
   * `app.use(shop.middleware)` and `server.on('upgrade', shop.upgrade)`. Throws TypeError for a path without a leading slash.
   */
  mount(path: string): Mount {
    return new Mount(path, this.#intake);
  }

  /** The document of `GET /api/status`. */
  status(): StatusDocument {
    return statusOf(this.#control);
  }

  /** Whether every pool has an eligible server; the reasons when not. */
  ready(): { readonly ok: boolean; readonly reasons: readonly string[] } {
    const reasons = this.#path.isStopping ? ['stopping'] : unreadyReasons(this.status());
    return { ok: reasons.length === 0, reasons };
  }

  /** The page of `GET /metrics`. `accept`: the scraper's Accept header; Prometheus text without. */
  metrics(accept = ''): Promise<MetricsPage> {
    return this.#control.metrics.render(accept);
  }

  /** Sets mode and weight of a server at once, as `PATCH /api/pools/:pool/servers/:server` does. */
  setServer(pool: string, server: string, change: ServerChange, by = 'the application'): ChangeResult {
    const checked = checkServerChange(change);
    if (typeof checked === 'string') return { ok: false, code: 'bad-request', message: checked };
    return this.#source.setServer(pool, server, checked, by);
  }

  /** What draining, adding or removing the server would do to the pool's sessions. `weight`: of one to be added. */
  plan(pool: string, action: PlanAction, server: string, weight = 1): PlanResult {
    return this.#source.plan(pool, action, server, weight);
  }

  /** Where such a request would go, and why. Changes nothing. */
  explain(pool: string, question: BalancerQuestion = {}): ExplainResult {
    return this.#source.explain(pool, questionOf(question));
  }

  /** Where the admin server listens: `http://127.0.0.1:9090`; null when the configuration has no `admin`. */
  get adminUrl(): string | null {
    return this.#admin?.url ?? null;
  }

  /** @internal called by createBalancer. Rejects when the address is taken. */
  async openAdmin(): Promise<void> {
    const source: AdminSource = {
      ...this.#source,
      metrics: (accept) => this.metrics(accept),
      ready: () => this.ready(),
      setServer: (pool, server, change, by) => this.setServer(pool, server, change, by),
      reload: (by) => this.#reload(undefined, by),
    };
    const { log, revision } = this.#control;
    this.#admin = await openAdmin(revision.config.admin, source, (error) =>
      log.warn({ error: error.message }, 'the admin server could not answer'),
    );
  }

  /**
   * Swaps to another configuration, or reads the file again that the balancer was made from. Requests in flight stay,
   * servers keep health, counters and sessions. When it is not valid nothing has changed and the result says why.
   */
  reload(input?: ConfigInput): Promise<ReloadResult> {
    return this.#reload(input, 'the application');
  }

  #reload(input: ConfigInput | undefined, by: string): Promise<ReloadResult> {
    return this.#control.revising.reload(() => this.#read(input ?? this.#file), by);
  }

  async #read(source: ConfigInput | null): ReturnType<ReadConfig> {
    if (source === null) return 'there is no configuration file to read again';
    try {
      const { config, file } = await readConfigInput(source, this.#options.env);
      const onAccepted = (): void => {
        this.#file = file ?? this.#file;
      };
      return { config, onAccepted };
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
      throw error;
    }
  }

  /**
   * Ends health checks, sweeps and connections to the servers; without it their timers keep the process alive. New
   * requests get 503, those under way may finish for `graceMs` (absent: `shutdown.grace`). Saves the sessions when `sessions.file` is set. The
   * HTTP server is yours to close.
   */
  close(graceMs: number = this.#control.revision.config.shutdown.graceMs): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    this.#path.isStopping = true;
    this.#control.isStopping = true;
    // at once: who waits for the process may not wait until the last tunnel has ended
    void this.#control.save();
    const grace = Promise.withResolvers<void>();
    const timer = systemScheduler.after(graceMs, grace.resolve);
    await Promise.race([this.#path.empty(), grace.promise]);
    timer.cancel();
    this.#path.destroy();
    await this.#control.end();
    await this.#admin?.close();
  }
}

/** There is one thread. */
function createControl(config: HoldfastConfig, options: BalancerOptions): Promise<ControlPlane> {
  const log = logOf(options);
  return ControlPlane.create({ config, log, threads: 1, onTransition: transitionListener(options, log) });
}

/**
 * Makes a balancer for this process. Resolves as soon as the configuration is checked; the first health checks are
 * under way then. Rejects with ConfigError when the configuration is not valid.
 *
 * Keys that are settings of the application's own server are refused, see unsupported-keys.ts. There is an admin server only when
 * the configuration has `admin`; rejects when its address is taken.
 */
export async function createBalancer(
  input: ConfigInput,
  options: BalancerOptions = {},
): Promise<EmbeddedBalancer> {
  const { config, file, warnings } = await readConfigInput(input, options.env);
  for (const warning of warnings) options.log?.warn({}, warning);
  const proxy = httpProxyOf(options.httpProxy);
  const balancer = new EmbeddedBalancer(await createControl(config, options), proxy, file, options);
  try {
    await balancer.openAdmin();
  } catch (error) {
    await balancer.close(0);
    throw error;
  }
  return balancer;
}
