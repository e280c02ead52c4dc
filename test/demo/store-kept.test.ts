import { describe, test } from 'vitest';
import { redisMissing } from '../../demo/redis-servers.ts';
import { contractSuite } from './contract.ts';
import { DATABASE, HOME, REDIS } from './variants.ts';

contractSuite(DATABASE);
const missing = redisMissing();
if (missing === null) for (const variant of [REDIS, HOME]) contractSuite(variant);
else describe('redis', () => test.skip(missing, () => {}));
