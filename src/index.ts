// The package as a library: `import { createBalancer } from 'holdfast'`. The one file that re-exports, because it is
// the door of the package; inside, every file imports what it needs where it is.

// biome-ignore-start lint/performance/noBarrelFile: the door of the package
export type { ExplainDocument, PlanDocument } from './admin/source.ts';
export type { StatusDocument } from './admin/status.ts';
export type {
  BalancerConfig,
  BalancerListener,
  BalancerPool,
  BalancerRateLimit,
  BalancerRoute,
  BalancerServer,
} from './config/balancer-config.ts';
export type { Problem } from './config/problem.ts';
export type {
  ChangeResult,
  ExplainResult,
  PlanResult,
  ReloadResult,
  ServerChange,
} from './control/results.ts';
export { createBalancer, EmbeddedBalancer, type Middleware } from './embed/balancer.ts';
export { ConfigError, type ConfigInput, type Environment } from './embed/config-input.ts';
export type { HttpProxy, HttpProxyEvents, HttpProxyOptions } from './embed/http-proxy.ts';
export type { Mount } from './embed/mount.ts';
export type { NodeRequest, NodeResponse } from './embed/node-messages.ts';
export type { BalancerOptions, EmbedLog } from './embed/options.ts';
export type { BalancerQuestion } from './embed/question.ts';
export type { HealthTransition } from './health/monitor.ts';
export type { MetricsPage } from './metrics/registry.ts';
export type { PlanAction } from './sessions/plan.ts';
// biome-ignore-end lint/performance/noBarrelFile: the door of the package
