#!/usr/bin/env node
// The launcher. Plain JavaScript, so that an old Node prints a sentence instead of a syntax error.
// An installed package runs the bundle in dist/; a checkout runs the TypeScript sources as they are.
// No `import` statement: what it names would be loaded before the first line runs.

const NODE_MAJOR_MIN = 24;

// First of all, since a SIGHUP ends a process that does not listen for it. `holdfast run` reads its configuration when it is
// loaded: one that comes before that asks for nothing more, unless it says that the terminal is gone.
if (process.argv.includes('run')) {
  process.on('SIGHUP', () => {
    if (terminals.length > 0 && !terminals.some((fd) => isatty(fd))) process.exit(129);
  });
}
const major = Number(process.versions.node.split('.')[0]);
if (major < NODE_MAJOR_MIN) {
  process.stderr.write(
    `holdfast needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.versions.node}; ` +
      'in a checkout "npm start" and "npm run holdfast --" use the pinned Node after "npm ci"\n',
  );
  process.exit(2);
}
const { isatty } = process.getBuiltinModule('node:tty');
const terminals = [0, 1, 2].filter((fd) => isatty(fd));
const nodeModule = process.getBuiltinModule('node:module');
const { existsSync } = process.getBuiltinModule('node:fs');
// Keeps compiled code (and TypeScript with its types stripped) for the next start: twice as fast, 40 MB less memory.
// Worker threads follow the environment variable.
const cache = nodeModule.enableCompileCache?.();
if (cache?.directory !== undefined)
  process.env.NODE_COMPILE_CACHE ??= nodeModule.getCompileCacheDir?.() ?? cache.directory;
const compiled = new URL('../dist/bundle/cli.js', import.meta.url);
const isCheckout = existsSync(new URL('./cli.ts', import.meta.url));
const { main } = await import(isCheckout ? new URL('./cli.ts', import.meta.url).href : compiled.href);
// The demo and the lab come with a checkout only; an installed package says so.
const development = isCheckout
  ? await Promise.all([import('../demo/command.ts'), import('../lab/command.ts')])
  : [];
process.exitCode = await main(
  process.argv,
  development.map(({ register }) => register),
);
