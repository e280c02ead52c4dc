// The dashboard "Holdfast operations": health of the servers, what failures cost, and the balancer itself.

import { type DashboardText, INSTANCE, POOL, RATE, SERVER } from './dashboard.ts';
import type { PanelText } from './panels.ts';
import { OWN_REPLIES, SERVERS_UP } from './shared-panels.ts';

const HEALTH: readonly PanelText[] = [
  SERVERS_UP,
  {
    title: 'Eligible servers',
    description: 'Servers that are up and ready and have a weight. At 0 requests of the pool get 503.',
    unit: 'short',
    limits: { bad: 1, below: true },
    queries: [{ expr: `holdfast_pool_servers_eligible{${POOL}}`, legend: '{{pool}}' }],
  },
  {
    title: 'Not in ready mode',
    description: '1 for each server that an operator has set to drain or maintenance.',
    unit: 'short',
    queries: [{ expr: `holdfast_server_mode{${POOL}, mode!="ready"}`, legend: '{{pool}}/{{server}} {{mode}}' }],
  },
  {
    title: 'Changes of the verdict',
    description: 'How often servers became up, down or ejected in five minutes. A server that does so again and again flaps.',
    unit: 'short',
    queries: [
      {
        expr: `sum by (pool, server, to) (increase(holdfast_server_transitions_total{${SERVER}}[5m]))`,
        legend: '{{pool}}/{{server}} {{to}}',
      },
    ],
  },
  {
    title: 'Ejected servers',
    description: 'Servers put aside for what real traffic met there.',
    unit: 'short',
    limits: { bad: 1 },
    queries: [{ expr: `holdfast_servers_ejected{${POOL}}`, legend: '{{pool}}' }],
  },
  {
    title: 'Active checks',
    description: 'Finished health checks by result.',
    unit: 'ops',
    queries: [
      { expr: `sum by (pool, result) (rate(holdfast_health_checks_total{${POOL}}${RATE}))`, legend: '{{pool}} {{result}}' },
    ],
  },
];

const FAILURES: readonly PanelText[] = [
  {
    title: 'Failed attempts',
    description: 'Attempts on a server that failed, those that were repeated with success too.',
    unit: 'ops',
    queries: [
      {
        expr: `sum by (pool, server) (rate(holdfast_upstream_failures_total{${SERVER}}${RATE}))`,
        legend: '{{pool}}/{{server}}',
      },
    ],
  },
  {
    title: 'What speaks against servers',
    description: 'connect: not reached. response: none in time, broken or invalid. status: answered one of passive.status.',
    unit: 'ops',
    queries: [
      {
        expr: `sum by (pool, server, kind) (rate(holdfast_passive_failures_total{${SERVER}}${RATE}))`,
        legend: '{{pool}}/{{server}} {{kind}}',
      },
    ],
  },
  {
    title: 'Retries',
    description: 'Attempts after the first, by what went wrong before; refused: the retry budget was used up.',
    unit: 'ops',
    queries: [
      { expr: `sum by (pool, reason) (rate(holdfast_retries_total{${POOL}}${RATE}))`, legend: '{{pool}} {{reason}}' },
      { expr: `rate(holdfast_retries_refused_total{${POOL}}${RATE})`, legend: '{{pool}} refused' },
    ],
  },
  {
    title: 'Retry budget',
    description: 'Retries that could be made now. At 0 failures are passed on at once, so that retries do not add to an overload.',
    unit: 'short',
    limits: { warn: 1, below: true },
    queries: [{ expr: `holdfast_retry_budget_remaining{${POOL}}`, legend: '{{pool}}' }],
  },
  OWN_REPLIES,
  {
    title: 'Queued',
    description: 'Requests that had to wait because every eligible server was at its connection limit.',
    unit: 'reqps',
    queries: [{ expr: `rate(holdfast_queued_requests_total{${POOL}}${RATE})`, legend: '{{pool}}' }],
  },
];

const CONNECTIONS: readonly PanelText[] = [
  {
    title: 'Client connections',
    description: 'Open now, by listener.',
    unit: 'short',
    queries: [{ expr: `holdfast_client_connections{${INSTANCE}}`, legend: '{{listener}}' }],
  },
  {
    title: 'HTTP/2',
    description: 'Connections and streams open now, by listener.',
    unit: 'short',
    queries: [
      { expr: `holdfast_http2_connections{${INSTANCE}}`, legend: '{{listener}} connections' },
      { expr: `holdfast_http2_streams{${INSTANCE}}`, legend: '{{listener}} streams' },
    ],
  },
  {
    title: 'HTTP/2: overdone by clients',
    description: 'Streams refused, responses dropped because they were not taken, connections ended, by what clients did too much of.',
    unit: 'ops',
    queries: [
      {
        expr: `sum by (listener, kind) (rate(holdfast_http2_abuse_total{${INSTANCE}}${RATE}))`,
        legend: '{{listener}} {{kind}}',
      },
    ],
  },
  {
    title: 'TLS handshakes',
    description: 'With clients, by what became of them. Nothing is drawn where no listener has TLS.',
    unit: 'ops',
    queries: [
      {
        expr: `sum by (listener, result) (rate(holdfast_tls_handshakes_total{${INSTANCE}}${RATE}))`,
        legend: '{{listener}} {{result}}',
      },
    ],
  },
  {
    title: 'Certificates: time left',
    description: 'Until each ends. Renewed files are used by themselves.',
    unit: 's',
    limits: { warn: 14 * 86_400, bad: 3 * 86_400, below: true },
    queries: [{ expr: `holdfast_certificate_expiry_seconds{${INSTANCE}} - time()`, legend: '{{listener}} {{name}}' }],
  },
  {
    title: 'File descriptors',
    description: 'Open now, over what the system allows the process. Clients are refused before the rest is used up.',
    unit: 'percentunit',
    limits: { warn: 0.7, bad: 0.85 },
    queries: [{ expr: `holdfast_descriptors{${INSTANCE}} / holdfast_descriptors_limit{${INSTANCE}}`, legend: '{{instance}}' }],
  },
  {
    title: 'Connections to servers',
    description: 'In use, and kept for the next request.',
    unit: 'short',
    queries: [
      { expr: `sum by (pool, state) (holdfast_upstream_connections{${POOL}})`, legend: '{{pool}} {{state}}' },
    ],
  },
  {
    title: 'Time to connect, p99',
    description: 'Of new connections to each server; nothing is drawn while none is made.',
    unit: 's',
    queries: [
      {
        expr: `histogram_quantile(0.99, sum by (le, pool, server) (rate(holdfast_upstream_connect_duration_seconds_bucket{${SERVER}}${RATE})))`,
        legend: '{{pool}}/{{server}}',
      },
    ],
  },
  {
    title: 'First byte',
    description: 'Moving average of the time until a server begins to answer, as the policy least-time sees it.',
    unit: 's',
    queries: [{ expr: `holdfast_server_first_byte_seconds{${SERVER}}`, legend: '{{pool}}/{{server}}' }],
  },
  {
    title: 'Load over limit',
    description: 'Requests in flight over maxConnections; servers without a limit are at 0.',
    unit: 'percentunit',
    limits: { warn: 0.8, bad: 1 },
    queries: [
      {
        expr: `holdfast_requests_in_flight{${SERVER}} / (holdfast_server_max_connections{${SERVER}} > 0) or 0 * holdfast_requests_in_flight{${SERVER}}`,
        legend: '{{pool}}/{{server}}',
      },
    ],
  },
];

const PROCESS: readonly PanelText[] = [
  {
    title: 'Threads and restarts',
    description: 'Data-plane threads, and workers that died and were replaced. Any restart is worth a look at the log.',
    unit: 'short',
    queries: [
      { expr: `holdfast_threads{${INSTANCE}}`, legend: 'threads' },
      { expr: `holdfast_worker_restarts_total{${INSTANCE}}`, legend: 'restarts' },
    ],
  },
  {
    title: 'Pauses to collect garbage',
    description: 'How long the data-plane threads stand still: 99 of 100 pauses are shorter.',
    unit: 's',
    limits: { warn: 0.025, bad: 0.1 },
    queries: [
      {
        expr: `histogram_quantile(0.99, sum by (kind, le) (rate(holdfast_gc_pause_seconds_bucket{${INSTANCE}}${RATE})))`,
        legend: 'p99 {{kind}}',
      },
    ],
  },
  {
    title: 'Time spent to collect garbage',
    description: 'Share of their time that the data-plane threads stand still for it.',
    unit: 'percentunit',
    limits: { warn: 0.1, bad: 0.3 },
    queries: [
      {
        expr: `sum by (kind) (rate(holdfast_gc_pause_seconds_sum{${INSTANCE}}${RATE})) / scalar(sum(holdfast_threads{${INSTANCE}}))`,
        legend: '{{kind}}',
      },
    ],
  },
  {
    title: 'Reloads',
    description: 'Successful and refused reloads, and the number of the running configuration.',
    unit: 'short',
    queries: [
      { expr: `holdfast_reloads_total{${INSTANCE}}`, legend: '{{result}}' },
      { expr: `holdfast_config_revision{${INSTANCE}}`, legend: 'revision' },
    ],
  },
  {
    title: 'Versions',
    description: 'What is running. Several at once only while an update is under way.',
    unit: 'short',
    queries: [{ expr: `count by (version, node) (holdfast_build_info{${INSTANCE}})`, legend: '{{version}} on Node {{node}}' }],
  },
  {
    title: 'Processor',
    description: 'Cores in use by the whole process.',
    unit: 'none',
    queries: [{ expr: `rate(process_cpu_seconds_total{${INSTANCE}}${RATE})`, legend: '{{instance}}' }],
  },
  {
    title: 'Memory',
    description: 'Resident memory of the whole process.',
    unit: 'bytes',
    queries: [{ expr: `process_resident_memory_bytes{${INSTANCE}}`, legend: '{{instance}}' }],
  },
  {
    title: 'Delay of the main thread',
    description: 'p99 of how late the main thread’s event loop is. It serves admin, health checks and sweeps, not traffic.',
    unit: 's',
    limits: { warn: 0.1, bad: 1 },
    queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${INSTANCE}}`, legend: '{{instance}}' }],
  },
  {
    title: 'Access log dropped',
    description: 'Lines not written because reader or disk did not keep up.',
    unit: 'ops',
    limits: { warn: 0.01 },
    queries: [{ expr: `rate(holdfast_access_log_dropped_total{${INSTANCE}}${RATE})`, legend: '{{instance}}' }],
  },
];

export const OPERATIONS: DashboardText = {
  uid: 'holdfast-operations',
  title: 'Holdfast operations',
  description: 'Health of the servers, what failures cost, and the balancer itself.',
  rows: [
    { title: 'Health', panels: HEALTH },
    { title: 'Failures', panels: FAILURES },
    { title: 'Connections', panels: CONNECTIONS },
    { title: 'The balancer', panels: PROCESS },
  ],
};
