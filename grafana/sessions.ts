// The dashboard "Holdfast sessions": where they are, how even, what moved and what was lost, how a drain goes.

import { type DashboardText, INSTANCE, POOL, RATE, SERVER } from './dashboard.ts';
import type { PanelText } from './panels.ts';
import {
  begunAndEnded,
  decisions,
  lostLastHour,
  SESSIONS_ALIVE,
  SESSIONS_BY_SERVER,
  skewOfLoad,
} from './shared-panels.ts';

const NOW: readonly PanelText[] = [
  SESSIONS_ALIVE,
  {
    kind: 'stat',
    title: 'Skew',
    description: 'Sessions of the fullest server over its fair share, in the most uneven pool; 1 is even.',
    unit: 'none',
    limits: { warn: 1.25, bad: 1.6 },
    queries: [{ expr: `max(holdfast_session_skew_ratio{${POOL}})`, legend: '' }],
  },
  {
    kind: 'stat',
    title: 'Beyond chance',
    description: 'Pools more uneven than random placement would be once in a thousand times.',
    unit: 'short',
    limits: { warn: 1 },
    queries: [
      {
        expr: `sum(holdfast_session_skew_chi2{${POOL}} > bool holdfast_session_skew_chi2_limit{${POOL}})`,
        legend: '',
      },
    ],
  },
  {
    kind: 'stat',
    title: 'Moved, last hour',
    description: 'Sessions that were given another home.',
    unit: 'short',
    queries: [{ expr: `sum(increase(holdfast_session_moves_total{${POOL}}[1h]))`, legend: '' }],
  },
  lostLastHour('Lost, last hour'),
  {
    kind: 'stat',
    title: 'Hottest session',
    description: 'Share of the busiest session in the requests of its pool. One session can never be split over servers.',
    unit: 'percentunit',
    limits: { warn: 0.25 },
    queries: [{ expr: `max(holdfast_session_hottest_share{${POOL}})`, legend: '' }],
  },
];

/** As for the skew: what is down, drained or without a weight has sessions or none for reasons of its own. */
const TAKES_PART = `(holdfast_server_up{${POOL}} == 1 and holdfast_server_weight{${POOL}} > 0 and on (instance, pool, server) holdfast_server_mode{${POOL}, mode="ready"} == 1)`;
const HELD = `(holdfast_sessions{${POOL}} and on (instance, pool, server) ${TAKES_PART})`;
const WEIGHT = `(holdfast_server_weight{${POOL}} and on (instance, pool, server) ${TAKES_PART})`;
const FAIR = `on (instance, pool) group_left () (sum by (instance, pool) (${HELD}) / sum by (instance, pool) (${WEIGHT}))`;

const SPREAD: readonly PanelText[] = [
  SESSIONS_BY_SERVER,
  {
    title: 'Over fair share',
    description:
      'Sessions of each server over its share by weight, among those that are up and ready; 1 is fair. The largest is the skew, where no backup is up.',
    unit: 'none',
    limits: { warn: 1.25, bad: 1.6 },
    queries: [
      {
        expr: `${HELD} / (${WEIGHT} * ${FAIR})`,
        legend: '{{pool}}/{{server}}',
      },
    ],
  },
  {
    title: 'Skew and its floor',
    description:
      'The fullest and the emptiest server over their fair share. The floor is what random placement of as many sessions would give: only a ratio above it is worth a thought.',
    unit: 'none',
    limits: { warn: 1.25, bad: 1.6 },
    queries: [
      { expr: `holdfast_session_skew_ratio{${POOL}}`, legend: '{{pool}} fullest' },
      { expr: `holdfast_session_skew_trough{${POOL}}`, legend: '{{pool}} emptiest' },
      { expr: `holdfast_session_skew_floor{${POOL}}`, legend: '{{pool}} floor' },
    ],
  },
  {
    title: 'Beyond chance',
    description: 'Chi-square of the sessions over its 99.9 % limit. Above 1: not bad luck, look for the cause.',
    unit: 'none',
    limits: { warn: 1 },
    queries: [
      {
        expr: `holdfast_session_skew_chi2{${POOL}} / (holdfast_session_skew_chi2_limit{${POOL}} > 0)`,
        legend: '{{pool}}',
      },
    ],
  },
  {
    title: 'Deviation',
    description: 'Standard deviation of sessions over fair share, what chance would give, and what is left beyond it.',
    unit: 'none',
    queries: [
      { expr: `holdfast_session_skew_cv{${POOL}}`, legend: '{{pool}} deviation' },
      { expr: `holdfast_session_skew_floor_cv{${POOL}}`, legend: '{{pool}} by chance' },
      { expr: `holdfast_session_skew_excess{${POOL}}`, legend: '{{pool}} beyond' },
    ],
  },
  skewOfLoad(
    'The most loaded server over its fair share, by requests of the last minute and by requests in flight.',
  ),
];

const CHANGES: readonly PanelText[] = [
  {
    title: 'Moves by reason',
    description: 'Sessions given another home, a second. Without an incident there is only what rebalancing or a drain does.',
    unit: 'ops',
    queries: [
      { expr: `sum by (pool, reason) (rate(holdfast_session_moves_total{${POOL}}${RATE}))`, legend: '{{pool}} {{reason}}' },
    ],
  },
  {
    title: 'Losses by server and reason',
    description: 'Sessions that lost their state, because the home that alone held it was gone or had to be left.',
    unit: 'ops',
    queries: [
      {
        expr: `sum by (pool, server, reason) (rate(holdfast_sessions_lost_total{${SERVER}}${RATE}))`,
        legend: '{{pool}}/{{server}} {{reason}}',
      },
    ],
  },
  begunAndEnded(' evicted: the table is full.'),
  {
    title: 'Drain: sessions left',
    description: 'Sessions still at home on servers in drain; 0 for servers that are not draining.',
    unit: 'short',
    queries: [
      {
        expr: `holdfast_sessions{${POOL}} * on (pool, server) group_left () holdfast_server_mode{${POOL}, mode="drain"}`,
        legend: '{{pool}}/{{server}}',
      },
    ],
  },
  {
    title: 'Rebalancing',
    description: '1 while sessions are being moved to even out the servers. Always 0 where sessions may not move.',
    unit: 'short',
    queries: [
      {
        expr: `holdfast_rebalance_active{${POOL}} or 0 * holdfast_pool_servers_eligible{${POOL}}`,
        legend: '{{pool}}',
      },
    ],
  },
  decisions('pool', 'verdict'),
];

const TABLE: readonly PanelText[] = [
  {
    title: 'Hottest share',
    description: 'Share of the busiest session in the request rate of the pool’s sessions.',
    unit: 'percentunit',
    queries: [{ expr: `holdfast_session_hottest_share{${POOL}}`, legend: '{{pool}}' }],
  },
  {
    title: 'Effective sessions',
    description: 'How many equally busy sessions would load the servers as unevenly. Far below the number of sessions: a few do most.',
    unit: 'short',
    queries: [{ expr: `holdfast_sessions_effective{${POOL}}`, legend: '{{pool}}' }],
  },
  {
    title: 'Not yet come back',
    description: 'Cookies given out that no client has shown yet: crawlers and probes, not sessions.',
    unit: 'short',
    queries: [{ expr: `sum by (pool) (holdfast_sessions_tentative{${POOL}})`, legend: '{{pool}}' }],
  },
  {
    title: 'Without a backup',
    description: 'Sessions that only their server has, by its own report, since the session store does not answer.',
    unit: 'short',
    limits: { bad: 1 },
    queries: [{ expr: `holdfast_sessions_unbacked{${SERVER}}`, legend: '{{pool}}/{{server}}' }],
  },
  {
    title: 'Session table in use',
    description: 'Entries over room. At 80 % sessions.max is reached and the idlest sessions are evicted.',
    unit: 'percentunit',
    limits: { warn: 0.6, bad: 0.75 },
    queries: [{ expr: `holdfast_session_table_entries{${INSTANCE}} / holdfast_session_table_capacity{${INSTANCE}}`, legend: 'in use' }],
  },
  {
    title: 'Sweep',
    description: 'Time of the main thread spent on the last pass over the session table.',
    unit: 's',
    queries: [{ expr: `holdfast_session_sweep_seconds{${INSTANCE}}`, legend: 'last pass' }],
  },
];

export const SESSIONS_DASHBOARD: DashboardText = {
  uid: 'holdfast-sessions',
  title: 'Holdfast sessions',
  description: 'Where the sessions are, how even, what moved and what was lost.',
  rows: [
    { title: 'Now', panels: NOW },
    { title: 'Spread', panels: SPREAD },
    { title: 'Moves and losses', panels: CHANGES },
    { title: 'Hot sessions and the table', panels: TABLE },
  ],
};
