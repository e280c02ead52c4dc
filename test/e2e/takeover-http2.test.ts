// One process replaces another under connections of HTTP/2 that are full of streams, and servers are drained in turn: every
// request is answered, whether it was asked before, while or after its connection was told to go.

import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';

const CONNECTIONS = 10;
const STREAMS = 20;
const EACH_TIME = 2000;

/**
 * A browser's side: so many requests at once, over a new connection once it is told that the one it has ends. What was refused
 * was not begun, and is asked again (RFC 9113 section 8.7): node:http2 refuses itself what it has not sent when it is told.
 */
class Asker {
  answered = 0;
  readonly failures: string[] = [];
  connections = 0;
  readonly #port: number;
  #session: ClientHttp2Session | null = null;
  #isOver = false;

  constructor(port: number) {
    this.#port = port;
  }

  #open(): ClientHttp2Session {
    const session = this.#session;
    if (session !== null && !session.closed && !session.destroyed) return session;
    const opened = connect(`http://127.0.0.1:${this.#port}`);
    this.connections += 1;
    this.#session = opened;
    opened.on('error', (error) => this.failures.push(`connection: ${error.message}`));
    whenDone(() => opened.destroy());
    return opened;
  }

  #ask(number: number): Promise<void> {
    return new Promise((resolve) => {
      const path = `/${number}`;
      const stream = this.#open().request({ ':path': path });
      let status = 0;
      let body = '';
      stream.setEncoding('latin1');
      stream.on('response', (headers) => {
        status = Number(headers[':status']);
      });
      stream.on('data', (part: string) => {
        body += part;
      });
      stream.on('error', () => undefined); // 'close' follows
      stream.on('close', () => {
        if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) {
          resolve(this.#ask(number));
          return;
        }
        if (status === 200 && body === `you asked for ${path}`) this.answered += 1;
        else this.failures.push(`${path}: ${status} ${body}, ended with code ${stream.rstCode}`);
        resolve();
      });
    });
  }

  async ask(): Promise<void> {
    let number = 0;
    const one = async (): Promise<void> => {
      while (!this.#isOver) {
        number += 1;
        await this.#ask(number);
      }
    };
    await Promise.all(Array.from({ length: STREAMS }, one));
    this.#session?.close();
  }

  end(): void {
    this.#isOver = true;
  }
}

async function setMode({ adminUrl }: RunningHoldfast, server: string, mode: string): Promise<void> {
  const response = await fetch(`${adminUrl}/api/pools/shop/servers/${server}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ mode }),
  });
  expect(response.status).toBe(200);
}

test('full connections through two replacements and a drain of each server: no request fails', async () => {
  const servers = await Promise.all(
    ['a', 'b', 'c'].map((name) =>
      httpBackend(name, ({ url }, response) => response.end(`you asked for ${url}`)),
    ),
  );
  const yaml = `
threads: 2
listen: [{ address: 127.0.0.1:0, h2c: true }]
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 30s }
pools:
  shop:
    servers: [${servers.map(({ url }, index) => `{ name: ${'abc'[index]}, url: "${url}" }`).join(', ')}]
`;
  const first = await runHoldfast(yaml);
  const askers = Array.from({ length: CONNECTIONS }, () => new Asker(first.port));
  const asking = Promise.all(askers.map((asker) => asker.ask()));
  const answered = (): number => askers.reduce((sum, asker) => sum + asker.answered, 0);
  const failures = (): string[] => askers.flatMap((asker) => asker.failures);
  const enough = (): Promise<unknown> => {
    const from = answered();
    return eventually(() => answered() - from >= EACH_TIME || failures().length > 0);
  };
  await enough();
  const second = await runHoldfast(yaml, { args: ['--takeover', first.adminUrl] });
  await enough();
  for (const server of ['a', 'b', 'c']) {
    await setMode(second, server, 'drain');
    await enough();
    await setMode(second, server, 'ready');
  }
  const third = await runHoldfast(yaml, { args: ['--takeover', second.adminUrl] });
  expect([await first.exited(), await second.exited()]).toEqual([0, 0]);
  await enough();
  for (const asker of askers) asker.end();
  await asking;
  expect(failures()).toEqual([]);
  // each was told twice to go, and came back
  expect(Math.min(...askers.map(({ connections }) => connections))).toBeGreaterThanOrEqual(3);
  await eventually(async () => (await third.metric('holdfast_http2_streams')) === 0);
  expect([first.log(), second.log()].filter((log) => log.includes('cutting off'))).toEqual([]);
}, 120_000);
