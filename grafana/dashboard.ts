// What our dashboards have in common: variables, time range, links to each other, numbered panels.

import {
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

/** Label matcher of the pool that the reader has chosen. */
export const POOL = 'pool=~"$pool"';
/** Window of rates: Grafana makes it fit scrape interval and zoom. */
export const RATE = '[$__rate_interval]';

export interface DashboardText {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly PanelText[] }[];
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
    .withVariable(
      new QueryVariableBuilder('pool')
        .label('Pool')
        .query('label_values(holdfast_server_up, pool)')
        .datasource(SOURCE)
        .refresh(VariableRefresh.OnTimeRangeChanged)
        .multi(true)
        .includeAll(true)
        .current({ text: 'All', value: '$__all' }),
    );
  for (const row of text.rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const one of row.panels) builder.withPanel(panel(one));
  }
  const dashboard = builder.build();
  return { ...dashboard, panels: (dashboard.panels ?? []).map((one, index) => ({ ...one, id: index + 1 })) };
}
