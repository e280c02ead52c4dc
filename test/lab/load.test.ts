// `npm run load`, as the README has it run: it ends by itself, and says what came of it.

import { expect, test } from 'vitest';
import { runLoad } from '../../lab/load.ts';
import { httpBackend } from '../support/backend.ts';

test('a load ends, and every answer is counted', async () => {
  const server = await httpBackend('a', (request, response) => {
    if (request.url === '/login') response.setHeader('set-cookie', 'sid=1');
    response.end('{}');
  });
  const options = { url: server.url, users: 3, rate: 60, seconds: 1 };
  let starts = 0;
  const summary = await runLoad(options, new AbortController().signal, () => {
    starts += 1;
  });
  const { requests, byClass, errors, loginsAgain } = summary;
  expect(requests).toBeGreaterThan(0);
  expect({ starts, byClass, errors, loginsAgain }).toEqual({
    starts: 1,
    byClass: { '2xx': requests, '4xx': 0, '5xx': 0 },
    errors: 0,
    loginsAgain: 0,
  });
});
