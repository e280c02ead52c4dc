// Short form of the fuzz of the embedded form, in a process of its own. `FUZZ=` widens it, `SEED=` replays a run.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('no bytes of a client or a server end the application or leave a request behind', {
  timeout: 600_000,
}, () => {
  const script = join(import.meta.dirname, 'embedded.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', script], {
    encoding: 'utf8',
  });
  console.log(stdout);
  expect([status, stderr]).toEqual([0, '']);
});
