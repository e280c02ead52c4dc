// The log where it is no terminal: lines of JSON that a person can read as well.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const LOGGER = new URL('../../src/run/logger.ts', import.meta.url).href;

test('the level is a word and the time is in ISO 8601', async () => {
  const program = `const { createLogger } = await import(${JSON.stringify(LOGGER)});
    createLogger('info').warn({ server: 'shop/b' }, 'down');`;
  const begunMs = Date.now();
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
  const { level, time, ...rest } = JSON.parse(stderr);
  expect([level, rest]).toEqual(['warn', { server: 'shop/b', msg: 'down' }]);
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(time)).toBeGreaterThanOrEqual(begunMs);
});
