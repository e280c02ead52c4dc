import { contractSuite } from './contract.ts';
import { SERVER_KEPT } from './variants.ts';

for (const variant of SERVER_KEPT) contractSuite(variant);
