// Writes the dashboards: `node grafana/build.ts`. A test holds the written files to what this makes.

import { writeFileSync } from 'node:fs';
import { overviewDashboard } from './overview.ts';

/** File name under grafana/dashboards and its contents. */
export function dashboards(): ReadonlyMap<string, string> {
  return new Map([['holdfast-overview.json', `${JSON.stringify(overviewDashboard(), null, 2)}\n`]]);
}

if (import.meta.main) {
  for (const [name, text] of dashboards()) writeFileSync(new URL(`dashboards/${name}`, import.meta.url), text);
}
