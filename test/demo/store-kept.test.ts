import { describe, test } from 'vitest';
import { redisMissing } from '../../src/demo/redis-servers.ts';
import { contractSuite } from './contract.ts';

const kept = { revocable: true, counted: true } as const;
contractSuite({ title: 'database', options: { architecture: 'database' }, shared: true, ...kept });

const missing = redisMissing();
if (missing === null)
  contractSuite({ title: 'redis', options: { architecture: 'redis' }, shared: true, ...kept });
else describe('redis', () => test.skip(missing, () => {}));
