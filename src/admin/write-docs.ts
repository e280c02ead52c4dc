// Writes docs/api.md from the description of the API: `node src/admin/write-docs.ts`.

import { writeFileSync } from 'node:fs';
import { apiReference } from './openapi.ts';

writeFileSync(new URL('../../docs/api.md', import.meta.url), apiReference());
