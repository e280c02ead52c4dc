// The largest of our packages, loaded when it is first needed: no client waits for it.

import { createRequire } from 'node:module';

/** As `import * as` would give it. */
export const undici = (): typeof import('undici') => createRequire(import.meta.url)('undici');
