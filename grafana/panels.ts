// Panels as our dashboards use them: one line says title, unit, queries and where the reader should look.

import { DataqueryBuilder } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimelineBuilder } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as SeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** The dashboards' data source variable. */
export const SOURCE = { type: 'prometheus', uid: '${datasource}' };

export interface Query {
  readonly expr: string;
  /** Legend; `{{server}}` and the like are filled in by Grafana. */
  readonly legend: string;
}

export interface PanelText {
  readonly title: string;
  /** What the panel shows and what to make of it. */
  readonly description: string;
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Columns of 24, 8 when absent. */
  readonly width?: number;
}

const HEIGHT = 8;
const STAT_HEIGHT = 4;

/** Lines over time. */
export function series(text: PanelText): SeriesBuilder {
  const panel = new SeriesBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(SOURCE)
    .unit(text.unit)
    .min(0)
    .height(HEIGHT)
    .span(text.width ?? 8)
    .fillOpacity(8)
    .lineWidth(1);
  for (const query of text.queries) panel.withTarget(target(query));
  return panel;
}

/** One big figure. */
export function stat(text: PanelText): StatBuilder {
  const panel = new StatBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(SOURCE)
    .unit(text.unit)
    .height(STAT_HEIGHT)
    .span(text.width ?? 4);
  for (const query of text.queries) panel.withTarget(target(query).instant());
  return panel;
}

/** States over time, one bar each. */
export function timeline(text: PanelText): TimelineBuilder {
  const panel = new TimelineBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(SOURCE)
    .unit(text.unit)
    .min(0)
    .max(1)
    .height(HEIGHT)
    .span(text.width ?? 8);
  for (const query of text.queries) panel.withTarget(target(query));
  return panel;
}

function target(query: Query): DataqueryBuilder {
  return new DataqueryBuilder().datasource(SOURCE).expr(query.expr).legendFormat(query.legend);
}
