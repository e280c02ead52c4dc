// The registry: prom-client's classes, with values read from shared memory when somebody scrapes. Nothing counts
// through prom-client itself.

import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram,
  type OpenMetricsContentType,
  Registry,
} from 'prom-client';
import type { Revision } from '../shared/revision.ts';
import { CATALOGUE, METRIC_NAMES, type MetricName } from './catalogue.ts';
import { GLOBAL_COLLECTORS, POOL_COLLECTORS } from './pool-collectors.ts';
import { SERVER_COLLECTORS } from './server-collectors.ts';
import { type MetricsSource, type Sample, ServerRow } from './source.ts';

export interface MetricsPage {
  readonly contentType: string;
  readonly body: string;
}

export interface Metrics {
  /** The page for this Accept header: OpenMetrics when asked for, the Prometheus text format otherwise. */
  render(accept: string): Promise<MetricsPage>;
}

interface Config {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly registers: [];
}
type Read = () => Sample[];

class CollectedCounter extends Counter<string> {
  readonly read: Read;
  constructor(config: Config, read: Read) {
    super(config);
    this.read = read;
  }
  override async get(): ReturnType<Counter['get']> {
    return { ...(await super.get()), values: this.read() };
  }
}

class CollectedGauge extends Gauge<string> {
  readonly read: Read;
  constructor(config: Config, read: Read) {
    super(config);
    this.read = read;
  }
  override async get(): ReturnType<Gauge['get']> {
    return { ...(await super.get()), values: this.read() };
  }
}

class CollectedHistogram extends Histogram<string> {
  readonly config: Config;
  readonly read: Read;
  constructor(config: Config, read: Read) {
    super(config);
    this.config = config;
    this.read = read;
  }
  /** What prom-client's registry calls, and `get` too; its types do not declare it. */
  async getForPromString(): Promise<object> {
    const { name, help } = this.config;
    return { name, help, type: 'histogram', aggregator: 'sum', values: this.read() };
  }
}

/** Gauges of prom-client that are called like counters: `promtool check metrics` is right. Each type of them has a gauge besides. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/** All metrics of the catalogue over this source, and prom-client's own of the main thread. Make it once. */
export function createMetrics(source: MetricsSource): Metrics {
  const text = new Registry();
  const reads = readers(source);
  for (const name of METRIC_NAMES) text.registerMetric(collected(name, reads(name)));
  collectDefaultMetrics({ register: text });
  for (const name of MISNAMED) text.removeSingleMetric(name);
  // OpenMetrics names counters otherwise, and prom-client writes that name into the metric: give it its own objects.
  const openMetrics = new Registry<OpenMetricsContentType>();
  openMetrics.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const metric of text.getMetricsAsArray()) openMetrics.registerMetric(Object.create(metric));
  return {
    async render(accept) {
      const registry = accept.includes('application/openmetrics-text') ? openMetrics : text;
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

function collected(name: MetricName, read: Read): CollectedCounter | CollectedGauge | CollectedHistogram {
  const { type, help, labels } = CATALOGUE[name];
  // `le` and the like are prom-client's own; the other names are only checked for being valid.
  const config: Config = { name, help, labelNames: labels, registers: [] };
  if (type === 'counter') return new CollectedCounter(config, read);
  return type === 'gauge' ? new CollectedGauge(config, read) : new CollectedHistogram(config, read);
}

/** Finds the collector of a metric; the compiler checks that the three tables together hold the whole catalogue. */
function readers(source: MetricsSource): (name: MetricName) => Read {
  let rowsOf: Revision | null = null;
  let rows: readonly ServerRow[] = [];
  const serverRows = (): readonly ServerRow[] => {
    const revision = source.revision();
    if (revision !== rowsOf) rows = listServers(revision);
    rowsOf = revision;
    return rows;
  };
  return (name) => {
    if (isIn(SERVER_COLLECTORS, name)) return () => SERVER_COLLECTORS[name](source, serverRows());
    if (isIn(POOL_COLLECTORS, name))
      return () => POOL_COLLECTORS[name](source, source.revision()?.pools ?? []);
    return () => GLOBAL_COLLECTORS[name](source);
  };
}

function isIn<Table extends object>(table: Table, name: PropertyKey): name is keyof Table {
  return Object.hasOwn(table, name);
}

function listServers(revision: Revision | null): readonly ServerRow[] {
  return (revision?.pools ?? []).flatMap(({ config, slots }) =>
    config.servers.flatMap((server, index) => {
      const slot = slots[index];
      return slot === undefined ? [] : [new ServerRow(slot, config.name, server.name, server)];
    }),
  );
}
