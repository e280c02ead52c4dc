// What clients see go wrong is what the metrics say, request for request: the load that is sent is counted here, in all that came back.

import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { expect, test } from 'vitest';
import { cannedBackend, httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside, sampleOf } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';

const NOBODY = 'http://127.0.0.1:1';
const REQUESTS = 60;
const AT_ONCE = 12;
const SERVER_ERROR = 500;

/** One answer: 0 where it broke off. `isOurs`: the balancer's own. */
interface Answer {
  readonly status: number;
  readonly isOurs: boolean;
}
type Ask = (path: string) => Promise<Answer>;

interface Counted {
  readonly requests: number;
  readonly errors: number;
  /** Answered with 2xx, whole. */
  readonly good: number;
}

/** `onRefused`: the balancer has answered in the place of a server. */
async function load(ask: Ask, path: string, onRefused: () => void): Promise<Counted> {
  const answers: Answer[] = [];
  const lane = async (): Promise<void> => {
    for (let sent = 0; sent < REQUESTS / AT_ONCE; sent += 1) {
      const answer = await ask(path);
      answers.push(answer);
      if (answer.isOurs) onRefused();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const isError = ({ status, isOurs }: Answer): boolean => isOurs || status === 0 || status >= SERVER_ERROR;
  const good = answers.filter(({ status }) => status === 200).length;
  return { requests: answers.length, errors: answers.filter(isError).length, good };
}

function byHttp1({ url }: Holdfast): Ask {
  return async (path) => {
    try {
      const response = await fetch(`${url}${path}`);
      await response.text();
      return { status: response.status, isOurs: response.headers.has('x-holdfast-error') };
    } catch {
      return { status: 0, isOurs: false };
    }
  };
}

function byHttp2(session: ClientHttp2Session): Ask {
  return (path) =>
    new Promise((resolve) => {
      const stream = session.request({ ':path': path });
      let answer: Answer = { status: 0, isOurs: false };
      stream.on('response', (headers) => {
        answer = { status: Number(headers[':status']), isOurs: 'x-holdfast-error' in headers };
      });
      stream.on('error', () => undefined);
      stream.on('close', () => {
        const isWhole = stream.rstCode === constants.NGHTTP2_NO_ERROR;
        resolve(isWhole ? answer : { status: 0, isOurs: false });
      });
      stream.resume();
    });
}

const POOLS = ['down', 'half', 'busy', 'bad', 'limited', 'ill', 'cut'] as const;

/** `isFull`: a request has been refused because the busy server is full; before that it answers nobody. */
async function balancer(isFull: Promise<void>): Promise<Holdfast> {
  const good = await httpBackend('good');
  const slow = await httpBackend('slow', (_request, response) => {
    void isFull.then(() => response.end('slow'));
  });
  const ill = await httpBackend('ill', (request, response) => {
    response.statusCode = request.url?.endsWith('0') === true ? 200 : 503;
    response.end();
  });
  const bad = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\nx');
  const cut = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'));
  });
  const usual = 'health: off, passive: off, retry: { attempts: 0 }, queue: { size: 0, whenDown: 0s }';
  const servers: Readonly<Record<(typeof POOLS)[number], string>> = {
    down: `"${NOBODY}", { name: other, url: "${NOBODY}" }`,
    half: `"${NOBODY}", "${good.url}"`,
    busy: `{ url: "${slow.url}", maxConnections: 2 }`,
    bad: `"${bad.url}"`,
    limited: `"${good.url}"`,
    ill: `"${ill.url}"`,
    cut: `"${cut.url}"`,
  };
  const routes = POOLS.map((pool) =>
    pool === 'limited'
      ? `  - { path: /limited, pool: limited, rateLimit: { rate: 1/h, burst: 20 } }`
      : `  - { path: /${pool}, pool: ${pool} }`,
  );
  const pools = POOLS.map((pool) => `  ${pool}: { ${usual}, servers: [${servers[pool]}] }`);
  const yaml = `threads: 2\nlisten: { address: 127.0.0.1:0, h2c: true }\nadmin: { address: 127.0.0.1:0 }\n`;
  return runInside(`${yaml}routes:\n${routes.join('\n')}\npools:\n${pools.join('\n')}\n`, {
    unready: true,
  });
}

/** What the metrics have of the pool. */
function told(text: string, pool: string): Counted {
  return {
    requests: sampleOf(text, 'holdfast_pool_requests_total', { pool }),
    errors: sampleOf(text, 'holdfast_client_errors_total', { pool }),
    good: sampleOf(text, 'holdfast_requests_total', { pool, code: '2xx' }),
  };
}

test.each(['HTTP/1', 'HTTP/2'])(
  '%s: all down, half down, overload, bad responses, rate limit, 5xx, cut off',
  async (version) => {
    const full = Promise.withResolvers<void>();
    const holdfast = await balancer(full.promise);
    const session = connect(holdfast.url);
    session.on('error', () => undefined);
    whenDone(() => session.destroy());
    const ask = version === 'HTTP/1' ? byHttp1(holdfast) : byHttp2(session);
    for (const pool of POOLS) {
      const mine = await load(ask, `/${pool}/${pool === 'ill' ? '1' : ''}`, () => {
        if (pool === 'busy') full.resolve();
      });
      let theirs = '';
      await eventually(
        async () => {
          theirs = JSON.stringify(told(await holdfast.metrics(), pool));
          return theirs === JSON.stringify(mine);
        },
        { what: () => `the metrics of ${pool} to say ${JSON.stringify(mine)}, not ${theirs}` },
      );
      expect(mine.requests).toBe(REQUESTS);
      expect([pool, mine.errors > 0]).toEqual([pool, true]);
    }
  },
);
