// The dashboard "Holdfast overview": is traffic well, are the servers well, are sessions even and where they belong.

import { type DashboardText, POOL, RATE } from './dashboard.ts';
import type { PanelText } from './panels.ts';

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
    description: 'Share of requests answered with 5xx by the servers, or without a response.',
    unit: 'percentunit',
    queries: [
      {
        expr: `sum(rate(holdfast_requests_total{${POOL}, code=~"5xx|none"}${RATE})) / sum(rate(holdfast_requests_total{${POOL}}${RATE}))`,
        legend: '',
      },
    ],
  },
  {
    kind: 'stat',
    title: 'p99',
    description: 'Ninety-nine of a hundred requests took less.',
    unit: 's',
    queries: [
      {
        expr: `histogram_quantile(0.99, sum by (le) (rate(holdfast_request_duration_seconds_bucket{${POOL}}${RATE})))`,
        legend: '',
      },
    ],
  },
  {
    kind: 'stat',
    title: 'Sessions',
    description: 'Sessions alive, over all servers.',
    unit: 'short',
    queries: [{ expr: `sum(holdfast_sessions{${POOL}})`, legend: '' }],
  },
  {
    kind: 'stat',
    title: 'Servers not up',
    description: 'Servers that health checks hold down, that are ejected, or that were not checked yet.',
    unit: 'short',
    queries: [{ expr: `sum(1 - holdfast_server_up{${POOL}})`, legend: '' }],
  },
  {
    kind: 'stat',
    title: 'Sessions lost, last hour',
    description: 'Sessions that had to leave a home that alone held their state.',
    unit: 'short',
    queries: [{ expr: `sum(increase(holdfast_sessions_lost_total{${POOL}}[1h]))`, legend: '' }],
  },
];

const TRAFFIC: readonly PanelText[] = [
  {
    title: 'Requests by server',
    description: 'How traffic spreads over the servers.',
    unit: 'reqps',
    queries: [
      { expr: `sum by (pool, server) (rate(holdfast_requests_total{${POOL}}${RATE}))`, legend: '{{pool}}/{{server}}' },
    ],
  },
  {
    title: 'Requests by status',
    description: 'Classes of response status; none: the exchange ended without a response.',
    unit: 'reqps',
    queries: [{ expr: `sum by (code) (rate(holdfast_requests_total{${POOL}}${RATE}))`, legend: '{{code}}' }],
  },
  {
    title: 'Own replies',
    description: 'What the balancer answered or ended itself, by kind.',
    unit: 'reqps',
    queries: [{ expr: `sum by (reason) (rate(holdfast_rejected_requests_total${RATE}))`, legend: '{{reason}}' }],
  },
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
        expr: `histogram_quantile(0.99, sum by (le, pool, server) (rate(holdfast_request_duration_seconds_bucket{${POOL}}${RATE})))`,
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
  {
    kind: 'timeline',
    title: 'Servers up',
    description: '1 while the verdict is up.',
    unit: 'short',
    queries: [{ expr: `holdfast_server_up{${POOL}}`, legend: '{{pool}}/{{server}}' }],
  },
  {
    title: 'Requests in flight',
    description: 'Requests and tunnels open on each server.',
    unit: 'short',
    queries: [{ expr: `holdfast_requests_in_flight{${POOL}}`, legend: '{{pool}}/{{server}}' }],
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
    queries: [
      {
        expr: `sum by (pool, server, result) (rate(holdfast_health_checks_total{${POOL}, result!="success"}${RATE}))`,
        legend: '{{pool}}/{{server}} {{result}}',
      },
    ],
  },
  {
    title: 'Connections',
    description: 'From clients, by listener; to servers, in use and kept.',
    unit: 'short',
    queries: [
      { expr: 'holdfast_client_connections', legend: 'clients {{listener}}' },
      { expr: `sum by (state) (holdfast_upstream_connections{${POOL}})`, legend: 'servers {{state}}' },
    ],
  },
];

const SESSIONS: readonly PanelText[] = [
  {
    title: 'Sessions by server',
    description: 'Sessions whose home is the server.',
    unit: 'short',
    queries: [{ expr: `holdfast_sessions{${POOL}}`, legend: '{{pool}}/{{server}}' }],
  },
  {
    title: 'Skew and its floor',
    description:
      'Sessions of the fullest server over its fair share. The floor is what random placement of as many sessions would give: only what lies above it is worth a thought.',
    unit: 'short',
    queries: [
      { expr: `holdfast_session_skew_ratio{${POOL}}`, legend: '{{pool}} ratio' },
      { expr: `holdfast_session_skew_floor{${POOL}}`, legend: '{{pool}} floor' },
    ],
  },
  {
    title: 'Skew of load',
    description: 'The same by requests of the last minute and by requests in flight.',
    unit: 'short',
    queries: [{ expr: `holdfast_load_skew_ratio{${POOL}}`, legend: '{{pool}} {{by}}' }],
  },
  {
    title: 'Why requests go where they go',
    description: 'home: to the session’s server. new: placed. moved: given another home. invalid: a cookie nobody made.',
    unit: 'reqps',
    queries: [
      {
        expr: `sum by (verdict) (rate(holdfast_affinity_decisions_total{${POOL}}${RATE}))`,
        legend: '{{verdict}}',
      },
    ],
  },
  {
    title: 'Moved and lost',
    description: 'Sessions that changed their home, and those of them that lost their state by it.',
    unit: 'ops',
    queries: [
      { expr: `sum by (reason) (rate(holdfast_session_moves_total{${POOL}}${RATE}))`, legend: 'moved: {{reason}}' },
      { expr: `sum by (reason) (rate(holdfast_sessions_lost_total{${POOL}}${RATE}))`, legend: 'lost: {{reason}}' },
    ],
  },
  {
    title: 'Begun and ended',
    description: 'Sessions that began, and those that ended by reason.',
    unit: 'ops',
    queries: [
      { expr: `sum(rate(holdfast_sessions_created_total{${POOL}}${RATE}))`, legend: 'begun' },
      { expr: `sum by (reason) (rate(holdfast_sessions_ended_total{${POOL}}${RATE}))`, legend: 'ended: {{reason}}' },
    ],
  },
];

export const OVERVIEW: DashboardText = {
  uid: 'holdfast-overview',
  title: 'Holdfast overview',
  description: 'Traffic, health and sessions of a Holdfast load balancer.',
  rows: [
    { title: 'Now', panels: STATS },
    { title: 'Traffic', panels: TRAFFIC },
    { title: 'Health', panels: HEALTH },
    { title: 'Sessions', panels: SESSIONS },
  ],
};
