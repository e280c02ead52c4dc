// Panels as our dashboards use them: one line says title, unit, queries and where the reader should look.

import { type DynamicConfigValue, MappingType, type Threshold, ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TimelineBuilder } from '@grafana/grafana-foundation-sdk/statetimeline';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as SeriesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** The dashboards' data source variable. */
export const SOURCE = { type: 'prometheus', uid: '${datasource}' };

export interface Query {
  readonly expr: string;
  /** Legend; `{{server}}` and the like are filled in by Grafana. */
  readonly legend: string;
  /** Of a column of a table, where it is not the panel's. */
  readonly unit?: string;
  /** Of a column of a table: from which value on it is bad. */
  readonly bad?: number;
  /** A column of a table that says whether a server is up. */
  readonly isState?: boolean;
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
  /** Lines over time when absent; one big figure; states over time; a row for each server, whose queries are its columns. */
  readonly kind?: 'series' | 'stat' | 'timeline' | 'table';
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
export function panel(text: PanelText): SeriesBuilder | StatBuilder | TimelineBuilder | TableBuilder {
  if (text.kind === 'stat') return stat(text);
  if (text.kind === 'table') return table(text);
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

/** Grafana merges the answers by their labels and calls the values `Value #A`, `Value #B` ... */
function table(text: PanelText): TableBuilder {
  const panel = new TableBuilder()
    .title(text.title)
    .description(text.description)
    .datasource(SOURCE)
    .unit(text.unit)
    .decimals(DECIMALS[text.unit] ?? 0)
    .thresholds(thresholds(text))
    .height(HEIGHT)
    .span(text.width ?? 24)
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        renameByName: Object.fromEntries(text.queries.map(({ legend }, index) => [`Value #${letter(index)}`, legend])),
      },
    });
  for (const [index, query] of text.queries.entries()) {
    panel.withTarget(target(query, index).instant().format(PromQueryFormat.Table));
    panel.overrideByName(query.legend, columnOf(query, text.unit));
  }
  return panel;
}

function columnOf({ unit, bad, isState = false }: Query, usual: string): DynamicConfigValue[] {
  const colour = { id: 'custom.cellOptions', value: { type: 'color-text' } };
  const steps = [
    { value: null, color: 'text' },
    { value: bad, color: 'red' },
  ];
  return [
    { id: 'unit', value: unit ?? usual },
    { id: 'decimals', value: DECIMALS[unit ?? usual] ?? 0 },
    ...(isState ? [{ id: 'mappings', value: [STATES] }, colour] : []),
    ...(bad === undefined ? [] : [{ id: 'thresholds', value: { mode: ThresholdsMode.Absolute, steps } }, colour]),
  ];
}

function letter(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
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
  return new DataqueryBuilder().refId(letter(index)).datasource(SOURCE).expr(query.expr).legendFormat(query.legend);
}
