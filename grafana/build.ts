// Writes the dashboards: `node grafana/build.ts`. A test holds the written files to what this makes.

import { writeFileSync } from 'node:fs';
import { buildDashboard } from './dashboard.ts';
import { OPERATIONS } from './operations.ts';
import { OVERVIEW } from './overview.ts';
import { SESSIONS_DASHBOARD } from './sessions.ts';

/** File name under grafana/dashboards and its contents. */
export function dashboards(): ReadonlyMap<string, string> {
  return new Map(
    [OVERVIEW, SESSIONS_DASHBOARD, OPERATIONS].map((text) => [
      `${text.uid}.json`,
      `${JSON.stringify(buildDashboard(text), null, 2)}\n`,
    ]),
  );
}

if (import.meta.main) {
  for (const [name, text] of dashboards()) writeFileSync(new URL(`dashboards/${name}`, import.meta.url), text);
}
