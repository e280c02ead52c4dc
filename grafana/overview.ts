// The dashboard "Holdfast overview": is traffic well, are the servers well, are sessions even and where they belong.

import { type DashboardText, INSTANCE, POOL, RATE, SERVER } from './dashboard.ts';
import type { PanelText } from './panels.ts';
import {
  begunAndEnded,
  decisions,
  lostLastHour,
  OWN_REPLIES,
  SERVERS_UP,
  SESSIONS_ALIVE,
  SESSIONS_BY_SERVER,
  skewOfLoad,
} from './shared-panels.ts';

const STATS: readonly PanelText[] = [
  {
    kind: 'stat',
    title: 'Requests',
    description: 'Requests a second that the servers answered.',
    unit: 'reqps',
    queries: [{ expr: `sum(rate(holdfast_requests_total{${POOL}}${RATE}))`, legend: '' }],
  },
  {
    kind: 'stat',
    title: 'Errors',
    description:
      'Share of requests that went wrong for the client: answered with 5xx by a server, answered by the balancer itself, or broken off.',
    unit: 'percentunit',
    limits: { warn: 0.01, bad: 0.05 },
    queries: [
      {
        expr: `sum(rate(holdfast_client_errors_total{${POOL}}${RATE})) / sum(rate(holdfast_pool_requests_total{${POOL}}${RATE}))`,
        legend: '',
      },
    ],
  },
  {
    kind: 'stat',
    title: 'p99',
    description: 'Ninety-nine of a hundred requests took less.',
    unit: 's',
    limits: { warn: 1, bad: 5 },
    queries: [
      {
        expr: `histogram_quantile(0.99, sum by (le) (rate(holdfast_request_duration_seconds_bucket{${POOL}}${RATE})))`,
        legend: '',
      },
    ],
  },
  SESSIONS_ALIVE,
  {
    kind: 'stat',
    title: 'Servers not up',
    description: 'Servers that health checks hold down, that are ejected, or that were not checked yet.',
    unit: 'short',
    limits: { bad: 1 },
    queries: [{ expr: `sum(1 - holdfast_server_up{${POOL}})`, legend: '' }],
  },
  lostLastHour('Sessions lost, last hour'),
];

const BY = 'sum by (instance, pool, server)';

const TABLE: PanelText = {
  kind: 'table',
  title: 'Servers',
  description: 'A row for each server: whether it is up, whether somebody has drained it or taken it out, what it has and what goes wrong there.',
  unit: 'short',
  queries: [
    { legend: 'State', expr: `${BY} (holdfast_server_up{${SERVER}})`, isState: true },
    { legend: 'Not ready', expr: `${BY} (holdfast_server_mode{${SERVER}, mode!="ready"})`, bad: 1 },
    { legend: 'Sessions', expr: `${BY} (holdfast_sessions{${SERVER}})` },
    { legend: 'Requests', expr: `${BY} (rate(holdfast_requests_total{${SERVER}}${RATE}))`, unit: 'reqps' },
    {
      legend: '5xx',
      expr: `${BY} (rate(holdfast_requests_total{${SERVER}, code="5xx"}${RATE}))`,
      unit: 'reqps',
      bad: 0.1,
    },
    { legend: 'In flight', expr: `${BY} (holdfast_requests_in_flight{${SERVER}})` },
    {
      legend: 'p99',
      expr: `histogram_quantile(0.99, sum by (instance, pool, server, le) (rate(holdfast_request_duration_seconds_bucket{${SERVER}}${RATE})))`,
      unit: 's',
    },
    { legend: 'Lost, last hour', expr: `${BY} (increase(holdfast_sessions_lost_total{${SERVER}}[1h]))`, bad: 1 },
  ],
};

const TRAFFIC: readonly PanelText[] = [
  {
    title: 'Requests by server',
    description: 'How traffic spreads over the servers.',
    unit: 'reqps',
    queries: [
      { expr: `sum by (pool, server) (rate(holdfast_requests_total{${SERVER}}${RATE}))`, legend: '{{pool}}/{{server}}' },
    ],
  },
  {
    title: 'Requests by status',
    description: 'Classes of response status; none: the exchange ended without a response.',
    unit: 'reqps',
    queries: [{ expr: `sum by (code) (rate(holdfast_requests_total{${POOL}}${RATE}))`, legend: '{{code}}' }],
  },
  OWN_REPLIES,
  {
    title: 'Latency',
    description: 'Median and 99th percentile by pool, from the request head to the last byte of the response.',
    unit: 's',
    queries: [0.5, 0.99].map((quantile) => ({
      expr: `histogram_quantile(${quantile}, sum by (le, pool) (rate(holdfast_request_duration_seconds_bucket{${POOL}}${RATE})))`,
      legend: `{{pool}} p${quantile * 100}`,
    })),
  },
  {
    title: 'Latency p99 by server',
    description: 'One slow server stands out here.',
    unit: 's',
    queries: [
      {
        expr: `histogram_quantile(0.99, sum by (le, pool, server) (rate(holdfast_request_duration_seconds_bucket{${SERVER}}${RATE})))`,
        legend: '{{pool}}/{{server}}',
      },
    ],
  },
  {
    title: 'Bytes',
    description: 'Sent to the servers and received from them.',
    unit: 'Bps',
    queries: [
      { expr: `sum(rate(holdfast_request_bytes_total{${POOL}}${RATE}))`, legend: 'requests' },
      { expr: `sum(rate(holdfast_response_bytes_total{${POOL}}${RATE}))`, legend: 'responses' },
    ],
  },
];

const HEALTH: readonly PanelText[] = [
  SERVERS_UP,
  {
    title: 'Requests in flight',
    description: 'Requests and tunnels open on each server.',
    unit: 'short',
    queries: [{ expr: `holdfast_requests_in_flight{${SERVER}}`, legend: '{{pool}}/{{server}}' }],
  },
  {
    title: 'Retries',
    description: 'Attempts after the first, by what went wrong before.',
    unit: 'ops',
    queries: [
      { expr: `sum by (pool, reason) (rate(holdfast_retries_total{${POOL}}${RATE}))`, legend: '{{pool}} {{reason}}' },
    ],
  },
  {
    title: 'Failed checks',
    description: 'Active health checks that did not succeed.',
    unit: 'ops',
    limits: { warn: 0.1 },
    queries: [
      {
        expr: `sum by (pool, server, result) (rate(holdfast_health_checks_total{${SERVER}, result!="success"}${RATE}))`,
        legend: '{{pool}}/{{server}} {{result}}',
      },
    ],
  },
  {
    title: 'Connections',
    description: 'From clients, by listener; to servers, in use and kept.',
    unit: 'short',
    queries: [
      { expr: `holdfast_client_connections{${INSTANCE}}`, legend: 'clients {{listener}}' },
      { expr: `sum by (state) (holdfast_upstream_connections{${POOL}})`, legend: 'servers {{state}}' },
    ],
  },
];

const SESSIONS: readonly PanelText[] = [
  SESSIONS_BY_SERVER,
  {
    title: 'Skew and its floor',
    description:
      'Sessions of the fullest server over its fair share. The floor is what random placement of as many sessions would give: only what lies above it is worth a thought.',
    unit: 'none',
    limits: { warn: 1.25, bad: 1.6 },
    queries: [
      { expr: `holdfast_session_skew_ratio{${POOL}}`, legend: '{{pool}} ratio' },
      { expr: `holdfast_session_skew_floor{${POOL}}`, legend: '{{pool}} floor' },
    ],
  },
  skewOfLoad('The same by requests of the last minute and by requests in flight.'),
  decisions('verdict'),
  {
    title: 'Moved and lost',
    description: 'Sessions that changed their home, and those of them that lost their state by it.',
    unit: 'ops',
    queries: [
      { expr: `sum by (reason) (rate(holdfast_session_moves_total{${POOL}}${RATE}))`, legend: 'moved: {{reason}}' },
      { expr: `sum by (reason) (rate(holdfast_sessions_lost_total{${POOL}}${RATE}))`, legend: 'lost: {{reason}}' },
    ],
  },
  begunAndEnded(),
];

export const OVERVIEW: DashboardText = {
  uid: 'holdfast-overview',
  title: 'Holdfast overview',
  description: 'Traffic, health and sessions of a Holdfast load balancer.',
  rows: [
    { title: 'Now', panels: STATS },
    { title: 'Servers', panels: [TABLE] },
    { title: 'Traffic', panels: TRAFFIC },
    { title: 'Health', panels: HEALTH },
    { title: 'Sessions', panels: SESSIONS },
  ],
};
