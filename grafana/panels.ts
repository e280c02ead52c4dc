// Panels as our dashboards use them: one line says title, unit, queries and where the reader should look.

import { MappingType, type Threshold, ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard';
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
  /**
   * From which value on it is worth a look, and bad; with `below` it is bad under them. Absent: no value is by itself, and
   * lines keep the colours that tell them apart.
   */
  readonly limits?: { readonly warn?: number; readonly bad?: number; readonly below?: true };
  /** Columns of 24; when absent 8, of a stat 4. */
  readonly width?: number;
  /** Lines over time when absent; one big figure; states over time. */
  readonly kind?: 'series' | 'stat' | 'timeline';
}

/** Digits after the point that mean something in the unit. */
const DECIMALS: Readonly<Record<string, number>> = {
  short: 0,
  none: 2,
  reqps: 1,
  ops: 2,
  percentunit: 1,
  s: 3,
  bytes: 1,
  Bps: 1,
};
/** What 0 and 1 mean where a state is drawn. */
const STATES = {
  type: MappingType.ValueToText,
  options: { '0': { text: 'not up', color: 'red', index: 0 }, '1': { text: 'up', color: 'green', index: 1 } },
} as const;

const HEIGHT = 8;
const STAT_HEIGHT = 4;

/** The builder that the text's kind asks for. */
export function panel(text: PanelText): SeriesBuilder | StatBuilder | TimelineBuilder {
  if (text.kind === 'stat') return stat(text);
  return text.kind === 'timeline' ? timeline(text) : series(text);
}

function series(text: PanelText): SeriesBuilder {
  const panel = new SeriesBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(SOURCE)
    .unit(text.unit)
    .decimals(DECIMALS[text.unit] ?? 0)
    .thresholds(thresholds(text))
    .min(0)
    .height(HEIGHT)
    .span(text.width ?? 8)
    .fillOpacity(8)
    .lineWidth(1);
  for (const [index, query] of text.queries.entries()) panel.withTarget(target(query, index));
  return panel;
}

function stat(text: PanelText): StatBuilder {
  const panel = new StatBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(SOURCE)
    .unit(text.unit)
    .decimals(DECIMALS[text.unit] ?? 0)
    .thresholds(thresholds(text))
    .height(STAT_HEIGHT)
    .span(text.width ?? 4);
  for (const [index, query] of text.queries.entries()) panel.withTarget(target(query, index).instant());
  return panel;
}

function timeline(text: PanelText): TimelineBuilder {
  const panel = new TimelineBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(SOURCE)
    .unit(text.unit)
    .decimals(DECIMALS[text.unit] ?? 0)
    .thresholds(thresholds(text))
    .min(0)
    .max(1)
    .mappings([STATES])
    .height(HEIGHT)
    .span(text.width ?? 8);
  for (const [index, query] of text.queries.entries()) panel.withTarget(target(query, index));
  return panel;
}

function thresholds({ limits = {}, kind }: PanelText): ThresholdsConfigBuilder {
  const { warn, bad, below = false } = limits;
  const [least, middle, most] = below ? ['red', 'orange', 'green'] : ['green', 'orange', 'red'];
  const first = below ? bad : warn;
  const second = below ? warn : bad;
  const steps = [
    { value: null, color: kind === 'stat' || first !== undefined || second !== undefined ? least : 'text' },
    ...(first === undefined ? [] : [{ value: first, color: second === undefined && below ? most : middle }]),
    ...(second === undefined ? [] : [{ value: second, color: most }]),
  ];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps as Threshold[]);
}

function target(query: Query, index: number): DataqueryBuilder {
  const refId = String.fromCharCode('A'.charCodeAt(0) + index);
  return new DataqueryBuilder().refId(refId).datasource(SOURCE).expr(query.expr).legendFormat(query.legend);
}
