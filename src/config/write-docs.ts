// `npm run docs`: writes what is generated from the table of keys. A test holds the committed files against it.

import { writeFileSync } from 'node:fs';
import { configJsonSchemaText } from './json-schema.ts';
import { manualText } from './manual.ts';
import { balancerConfigText } from './type-text.ts';

export const GENERATED = [
  { file: 'config/holdfast.schema.json', text: configJsonSchemaText },
  { file: 'docs/configuration.md', text: manualText },
  { file: 'src/config/balancer-config.ts', text: balancerConfigText },
] as const;

if (import.meta.main) {
  for (const { file, text } of GENERATED) writeFileSync(new URL(`../../${file}`, import.meta.url), text());
}
