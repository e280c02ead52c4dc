// What Grafana needs of a dashboard file to import it as it stands, and what our readers need of it.

import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { dashboards } from '../../grafana/build.ts';

const SOURCE = z.object({ type: z.literal('prometheus'), uid: z.literal('${datasource}') });
const POSITION = z.object({
  x: z.int().min(0).max(23),
  y: z.int().min(0),
  w: z.int().min(1).max(24),
  h: z.int().min(1),
});
const TARGET = z.looseObject({
  refId: z.string().min(1),
  expr: z.string().min(1),
  datasource: SOURCE,
  legendFormat: z.string(),
});
const ROW = z.looseObject({
  type: z.literal('row'),
  id: z.int().min(1),
  title: z.string().min(1),
  collapsed: z.literal(false),
  panels: z.array(z.never()),
  gridPos: POSITION,
});
const PANEL = z.looseObject({
  type: z.enum(['stat', 'timeseries', 'state-timeline', 'table']),
  id: z.int().min(1),
  title: z.string().min(1),
  description: z.string().regex(/\.$/, 'a sentence'),
  datasource: SOURCE,
  targets: z.array(TARGET).min(1),
  gridPos: POSITION,
  fieldConfig: z.looseObject({ defaults: z.looseObject({ unit: z.string().min(1) }) }),
});
const choice = (name: string) =>
  z.looseObject({
    name: z.literal(name),
    type: z.literal('query'),
    datasource: SOURCE,
    allValue: z.literal('.*'),
  });
const DASHBOARD = z.looseObject({
  uid: z.string().regex(/^[a-z0-9-]{1,40}$/),
  title: z.string().min(1),
  schemaVersion: z.int().min(36),
  tags: z.array(z.string()),
  time: z.object({ from: z.string(), to: z.string() }),
  templating: z.object({
    list: z.tuple([
      z.looseObject({
        name: z.literal('datasource'),
        type: z.literal('datasource'),
        query: z.literal('prometheus'),
      }),
      choice('instance'),
      choice('pool'),
      choice('server'),
    ]),
  }),
  panels: z.array(z.discriminatedUnion('type', [ROW, PANEL])).min(1),
});

const built = [...dashboards()].map(([name, text]) => ({
  name,
  dashboard: DASHBOARD.safeParse(JSON.parse(text)),
}));

describe.each(built)('$name', ({ name, dashboard }) => {
  const panels = dashboard.data?.panels ?? [];

  test('has everything that an import needs', () => {
    expect(dashboard.error?.issues ?? []).toEqual([]);
    expect(`${dashboard.data?.uid}.json`).toBe(name);
  });

  test('has no id of its own, which belongs to the Grafana it was made in', () => {
    expect(Object.keys(dashboard.data ?? {})).not.toContain('id');
  });

  test('numbers its panels once each, and the queries of a panel too', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const panel of panels) {
      if (panel.type === 'row') continue;
      const letters = panel.targets.map(({ refId }) => refId);
      expect([panel.title, new Set(letters).size]).toEqual([panel.title, letters.length]);
    }
  });

  test('has no two panels in one place and none over the edge', () => {
    const taken = new Map<string, number>();
    for (const { id, title, gridPos } of panels) {
      expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
          expect([title, taken.get(`${x} ${y}`) ?? id]).toEqual([title, id]);
          taken.set(`${x} ${y}`, id);
        }
      }
    }
  });
});

test('every dashboard has a uid of its own', () => {
  expect(new Set(built.map(({ dashboard }) => dashboard.data?.uid)).size).toBe(built.length);
});
