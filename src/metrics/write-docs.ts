// Writes docs/metrics.md from the catalogue: `node src/metrics/write-docs.ts`.

import { writeFileSync } from 'node:fs';
import { metricsManual } from './manual.ts';

writeFileSync(new URL('../../docs/metrics.md', import.meta.url), metricsManual());
