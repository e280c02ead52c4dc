// The ACME client in the test's own process: what it has, a web server that answers for it, and a clock that can be moved.

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutomaticCertificates } from '../../src/acme/automatic.ts';
import type { Spreader } from '../../src/acme/round.ts';
import { systemClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { systemScheduler } from '../../src/base/scheduler.ts';
import type { AcmeConfig } from '../../src/tls/options.ts';
import { eventually } from './eventually.ts';
import { whenDone } from './lifetime.ts';

export interface AcmeClient {
  readonly automatic: AutomaticCertificates;
  readonly acme: AcmeConfig;
  /** Lines of the log so far. */
  readonly log: readonly string[];
  /** What was brought to the threads. */
  readonly spread: readonly (string | null)[];
  readonly events: readonly { readonly type: string; readonly [detail: string]: unknown }[];
  /** The clock is so far ahead. */
  shiftMs: number;
  /** Polls until it is so. */
  until(condition: () => boolean): Promise<void>;
  /** As until, and all it has begun is over. */
  stop(): Promise<void>;
  /** What its web server has been asked, and answers if it is not to answer right. */
  readonly asked: string[];
  wrongAnswer: string | null;
}

/** The port where all clients of one test answer. */
export async function answeringPort(): Promise<{ port: number; clients: AcmeClient[] }> {
  const clients: AcmeClient[] = [];
  const answer = ({ url = '' }: IncomingMessage, response: ServerResponse): void => {
    const token = url.split('/').at(-1) ?? '';
    for (const client of clients) {
      client.asked.push(url);
      const found = client.wrongAnswer ?? client.automatic.challenges.tokens[token];
      if (found !== undefined) {
        response.end(found);
        return;
      }
    }
    response.writeHead(404).end();
  };
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, clients };
}

export function acmeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-acme-'));
  whenDone(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function acmeClient(
  acme: AcmeConfig,
  at: { readonly clients: AcmeClient[] },
  more: { readonly requestMs?: number; readonly onSpread?: () => Promise<void> } = {},
): AcmeClient {
  const log: string[] = [];
  const spread: (string | null)[] = [];
  const events: { readonly type: string }[] = [];
  const say = (_details: object, message?: string): void => void log.push(message ?? '');
  const client: AcmeClient = {
    automatic: new AutomaticCertificates({
      clock: {
        nowMs: () => systemClock.nowMs() + client.shiftMs,
        wallMs: () => systemClock.wallMs() + client.shiftMs,
        stoodStillMs: 0,
      },
      scheduler: systemScheduler,
      random: new SeededRandom(1),
      log: { debug: say, info: say, warn: say, error: say },
      ...(more.requestMs === undefined ? {} : { requestMs: more.requestMs }),
    }),
    acme,
    log,
    spread,
    events,
    shiftMs: 0,
    asked: [],
    wrongAnswer: null,
    until: (condition) =>
      eventually(
        () => {
          client.automatic.poll();
          return condition();
        },
        { what: () => `${condition}; the log:\n${log.join('\n')}` },
      ).then(() => undefined),
    stop: () => client.automatic.hold(),
  };
  const spreader: Spreader = {
    spread: async (what) => {
      spread.push(what);
      await more.onSpread?.();
    },
    publish: (event) => void events.push(event),
  };
  client.automatic.configure([acme]);
  client.automatic.begin(spreader);
  at.clients.push(client);
  whenDone(() => client.stop());
  return client;
}
