import { contractSuite } from './contract.ts';
import { CLIENT_KEPT } from './variants.ts';

for (const variant of CLIENT_KEPT) contractSuite(variant);
