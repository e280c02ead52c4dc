// What our dashboards have in common: variables, time range, links to each other, numbered panels.

import {
  type AnnotationQuery,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { type PanelText, panel, SOURCE } from './panels.ts';

/** Label matcher of the processes that the reader has chosen: for what the balancer as a whole says. */
export const INSTANCE = 'instance=~"$instance"';
/** And of the pools. */
export const POOL = `${INSTANCE}, pool=~"$pool"`;
/** And of the servers: for panels that show each. */
export const SERVER = `${POOL}, server=~"$server"`;
/** Window of rates: Grafana makes it fit scrape interval and zoom. */
export const RATE = '[$__rate_interval]';

/** Marks on every panel: what happened to the balancer. */
const EVENTS = [
  {
    name: 'Reloads',
    colour: 'blue',
    expr: `changes(holdfast_config_revision{${INSTANCE}}[30s]) > 0`,
    title: 'configuration reloaded',
  },
  {
    name: 'Starts and takeovers',
    colour: 'purple',
    expr: `changes(process_start_time_seconds{${INSTANCE}}[30s]) > 0`,
    title: 'another process',
  },
  {
    name: 'Drains',
    colour: 'orange',
    expr: `holdfast_server_mode{${POOL}, mode!="ready"} == 1 unless holdfast_server_mode{${POOL}, mode!="ready"} offset 30s == 1`,
    title: '{{pool}}/{{server}}: {{mode}}',
  },
  {
    name: 'Losses',
    colour: 'red',
    expr: `sum by (pool, server) (increase(holdfast_sessions_lost_total{${POOL}}[30s])) > 0`,
    title: '{{pool}}/{{server}}: sessions lost',
  },
] as const;

export interface DashboardText {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly PanelText[] }[];
}

/** As the Prometheus data source reads it; the SDK's type lacks its fields. */
function annotation({ name, colour, expr, title }: (typeof EVENTS)[number]): AnnotationQuery {
  const asRead = { name, datasource: SOURCE, enable: true, iconColor: colour, expr, titleFormat: title, step: '15s' };
  return asRead;
}

function choice(name: string, label: string, query: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .label(label)
    .query(query)
    .datasource(SOURCE)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .multi(true)
    .includeAll(true)
    // also what no pool is known of, and servers that are gone
    .allValue('.*')
    .current({ text: 'All', value: '$__all' });
}

export function buildDashboard(text: DashboardText): Dashboard {
  const builder = new DashboardBuilder(text.title)
    .uid(text.uid)
    .description(text.description)
    .tags(['holdfast'])
    .editable()
    .refresh('10s')
    .time({ from: 'now-30m', to: 'now' })
    .timezone('browser')
    .tooltip(DashboardCursorSync.Crosshair)
    .link(
      new DashboardLinkBuilder('Holdfast').type(DashboardLinkType.Dashboards).tags(['holdfast']).asDropdown(true).keepTime(true).includeVars(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(choice('instance', 'Balancer', 'label_values(holdfast_build_info, instance)'))
    .withVariable(choice('pool', 'Pool', `label_values(holdfast_server_up{${INSTANCE}}, pool)`))
    .withVariable(choice('server', 'Server', `label_values(holdfast_server_up{${POOL}}, server)`));
  for (const row of text.rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const one of row.panels) builder.withPanel(panel(one));
  }
  const dashboard = builder.build();
  return {
    ...dashboard,
    annotations: { list: EVENTS.map(annotation) },
    panels: (dashboard.panels ?? []).map((one, index) => ({ ...one, id: index + 1 })),
  };
}
