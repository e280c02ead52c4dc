// A server that answers before it has the whole request, and then resets the connection: its answer reaches the client.

import { expect, test } from 'vitest';
import { earlyResponder, uploadUntilAnswered } from '../support/early-answer.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { isQuiet, socketsOf } from '../support/quiet.ts';

const ROUNDS = 20;
const WHOLE = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large';
const HALF = 'HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo';

async function scene(reply: string) {
  const backend = await earlyResponder(reply);
  const holdfast = await runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools: { web: { health: off, passive: off, retry: { attempts: 0 }, servers: ["${backend.url}"] } }
`);
  return { holdfast, before: socketsOf(holdfast) };
}

test('the whole answer arrives, every time', async () => {
  const { holdfast, before } = await scene(WHOLE);
  for (let round = 0; round < ROUNDS; round += 1) {
    const { text } = await uploadUntilAnswered(holdfast.port);
    expect(text).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*too large$/i);
  }
  await isQuiet(holdfast, before);
  expect(await holdfast.metric('holdfast_upstream_connections', { state: 'idle' })).toBe(0);
});

test('half an answer is seen to be half', async () => {
  const { holdfast, before } = await scene(HALF);
  for (let round = 0; round < 5; round += 1) {
    const { text, reset } = await uploadUntilAnswered(holdfast.port);
    expect([text === '' || text.endsWith('too'), reset]).toEqual([true, true]);
  }
  await isQuiet(holdfast, before);
});
