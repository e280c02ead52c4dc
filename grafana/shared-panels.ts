// Panels that more than one of our dashboards shows, and what differs between them.

import { POOL, RATE, SERVER } from './dashboard.ts';
import type { PanelText } from './panels.ts';

export const SESSIONS_ALIVE: PanelText = {
  kind: 'stat',
  title: 'Sessions',
  description: 'Sessions alive, over all servers.',
  unit: 'short',
  queries: [{ expr: `sum(holdfast_sessions{${POOL}})`, legend: '' }],
};

export const SESSIONS_BY_SERVER: PanelText = {
  title: 'Sessions by server',
  description: 'Sessions whose home is the server.',
  unit: 'short',
  queries: [{ expr: `holdfast_sessions{${SERVER}}`, legend: '{{pool}}/{{server}}' }],
};

export const SERVERS_UP: PanelText = {
  kind: 'timeline',
  title: 'Servers up',
  description: '1 while the verdict is up.',
  unit: 'short',
  queries: [{ expr: `holdfast_server_up{${SERVER}}`, legend: '{{pool}}/{{server}}' }],
};

export const OWN_REPLIES: PanelText = {
  title: 'Own replies',
  description: 'What the balancer answered or ended itself, by kind.',
  unit: 'reqps',
  queries: [{ expr: `sum by (reason) (rate(holdfast_rejected_requests_total{${POOL}}${RATE}))`, legend: '{{reason}}' }],
};

export function lostLastHour(title: string): PanelText {
  return {
    kind: 'stat',
    title,
    description: 'Sessions that had to leave a home that alone held their state.',
    unit: 'short',
    limits: { bad: 1 },
    queries: [{ expr: `sum(increase(holdfast_sessions_lost_total{${POOL}}[1h]))`, legend: '' }],
  };
}

export function skewOfLoad(description: string): PanelText {
  return {
    title: 'Skew of load',
    description,
    unit: 'none',
    limits: { warn: 1.5, bad: 2.5 },
    queries: [{ expr: `holdfast_load_skew_ratio{${POOL}}`, legend: '{{pool}} {{by}}' }],
  };
}

export function begunAndEnded(remark = ''): PanelText {
  return {
    title: 'Begun and ended',
    description: `Sessions that began, and those that ended by reason.${remark}`,
    unit: 'ops',
    queries: [
      { expr: `sum(rate(holdfast_sessions_created_total{${POOL}}${RATE}))`, legend: 'begun' },
      { expr: `sum by (reason) (rate(holdfast_sessions_ended_total{${POOL}}${RATE}))`, legend: 'ended: {{reason}}' },
    ],
  };
}

/** `by`: labels that tell the lines apart. */
export function decisions(...by: readonly string[]): PanelText {
  return {
    title: 'Why requests go where they go',
    description: 'home: to the session’s server. new: placed. moved: given another home. invalid: a cookie nobody made.',
    unit: 'reqps',
    queries: [
      {
        expr: `sum by (${by.join(', ')}) (rate(holdfast_affinity_decisions_total{${POOL}}${RATE}))`,
        legend: by.map((label) => `{{${label}}}`).join(' '),
      },
    ],
  };
}
