import { describe, test } from 'vitest';
import { redisMissing } from '../../demo/redis-servers.ts';
import { contractSuite } from './contract.ts';
import { DATABASE, REDIS } from './variants.ts';

contractSuite(DATABASE);
const missing = redisMissing();
if (missing === null) contractSuite(REDIS);
else describe('redis', () => test.skip(missing, () => {}));
