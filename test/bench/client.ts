/** A careful client for everything that is not timed: one keep-alive pool, whole bodies, a deadline each. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { HOST } from './scenarios.ts';

export type Reply = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
};

export type Asked = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
};

export type Client = {
  readonly get: (path: string, headers?: Readonly<Record<string, string>>) => Promise<Reply>;
  readonly ask: (path: string, asked: Asked) => Promise<Reply>;
  readonly close: () => void;
};

const REPLY_MS = 5_000;
const REPLY_BYTES_MAX = 16 << 20;

/** A client of the loopback port with at most `connectionsMax` connections. Close it when done. */
export function createClient(port: number, connectionsMax = 1): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax });
  const ask = (path: string, asked: Asked): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const outgoing = request({
        host: '127.0.0.1',
        port,
        path,
        agent,
        method: asked.method ?? 'GET',
        headers: { host: HOST, ...asked.headers },
        timeout: REPLY_MS,
      });
      outgoing.on('error', reject);
      outgoing.on('timeout', () => outgoing.destroy(new Error(`${path}: no reply in ${REPLY_MS} ms`)));
      outgoing.on('response', (incoming) => {
        const pieces: Buffer[] = [];
        let bytes = 0;
        incoming.on('error', reject);
        incoming.on('data', (piece: Buffer) => {
          bytes += piece.length;
          if (bytes > REPLY_BYTES_MAX)
            outgoing.destroy(new Error(`${path}: more than ${REPLY_BYTES_MAX} bytes`));
          pieces.push(piece);
        });
        incoming.on('end', () => {
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(pieces),
          });
        });
      });
      outgoing.end(asked.body);
    });
  return { ask, get: (path, headers) => ask(path, headers ? { headers } : {}), close: () => agent.destroy() };
}

/** The `name=value` pairs that a reply sets, as a browser would send them back; empty when it sets none. */
export function cookiesSet(reply: Reply): string {
  return (reply.headers['set-cookie'] ?? []).map((line) => line.split(';')[0] ?? '').join('; ');
}

/** The cookies of `count` new visitors, one request without a cookie each. */
export async function visitorCookies(port: number, count: number): Promise<readonly string[]> {
  const client = createClient(port);
  const cookies: string[] = [];
  for (let visitor = 0; visitor < count; visitor++) cookies.push(cookiesSet(await client.get('/small')));
  client.close();
  return cookies;
}
