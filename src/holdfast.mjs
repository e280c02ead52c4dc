#!/usr/bin/env node
// The launcher. Plain JavaScript, so that an old Node prints a sentence instead of a syntax error.
// An installed package runs the compiled dist/; a checkout runs the TypeScript sources as they are.
import { existsSync } from 'node:fs';

const NODE_MAJOR_MIN = 24;

const major = Number(process.versions.node.split('.')[0]);
if (major < NODE_MAJOR_MIN) {
  process.stderr.write(
    `holdfast needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.versions.node}; ` +
      'in a checkout "npm start" and "npm run holdfast --" use the pinned Node after "npm ci"\n',
  );
  process.exit(2);
}
const compiled = new URL('../dist/cli.js', import.meta.url);
const isCheckout = existsSync(new URL('./cli.ts', import.meta.url));
await import(isCheckout ? new URL('./cli.ts', import.meta.url).href : compiled.href);
