// The race between a redirect and the saving of its session, and that holding the redirect back ends it.

import { expect, onTestFinished, test } from 'vitest';
import { cannedBackend } from '../support/backend.ts';
import { runInside } from '../support/holdfast.ts';
import { logInLikeABrowser, type SaveAfter, slowSessionApp } from '../support/slow-session-app.ts';

const SAVE_MS = 20;
const LOG_INS = 100;

async function lostLogIns(mode: string, saveAfter: SaveAfter): Promise<number> {
  const app = await slowSessionApp(saveAfter);
  onTestFinished(() => app.close());
  const holdfast = await runInside(configFor(app.url, mode));
  const statuses = await Promise.all(Array.from({ length: LOG_INS }, () => logInLikeABrowser(holdfast.url)));
  return statuses.filter((status) => status !== 200).length;
}

function configFor(url: string, mode: string): string {
  return `
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  app:
    holdUntilComplete: ${mode}
    sticky: { mode: learn, cookie: connect.sid }
    servers: [${url}]
`;
}

test('off: a browser that follows the redirect at once finds no session', async () => {
  expect(await lostLogIns('off', 'the next request')).toBe(LOG_INS);
});

for (const mode of ['redirects', 'set-cookie', 'small']) {
  test(`${mode}: every log-in finds its session`, async () => {
    expect(await lostLogIns(mode, SAVE_MS)).toBe(0);
  });
}

test('a held response that breaks off is a 502, for nothing has been sent', async () => {
  const backend = await cannedBackend(
    'HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 10\r\n\r\nhalf',
    'destroy',
  );
  const holdfast = await runInside(configFor(backend.url, 'redirects'));
  const reply = await fetch(holdfast.url, { redirect: 'manual' });
  expect([reply.status, reply.headers.get('x-holdfast-error')]).toEqual([502, 'bad-response']);
});

test('a response that grows past the limit is let go and arrives whole', async () => {
  const body = 'x'.repeat(40_000);
  const chunk = `${body.length.toString(16)}\r\n${body}\r\n`;
  const backend = await cannedBackend(
    `HTTP/1.1 302 Found\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}0\r\n\r\n`,
  );
  const holdfast = await runInside(configFor(backend.url, 'redirects'));
  const reply = await fetch(holdfast.url, { redirect: 'manual' });
  expect([reply.status, (await reply.text()) === body.repeat(3)]).toEqual([302, true]);
});
