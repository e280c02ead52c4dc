// An authority of the test's own that gives certificates: Debian's pebble behind a relay, which stands at one address from the
// beginning, counts, and does what a test wants wrong. All names lead to 127.0.0.1.
//
//   client ── https ──> relay ──┬── as the test says ──> something wrong, or nothing
//                               └── otherwise ── https ──> pebble ── asks ──> 127.0.0.1:httpPort or tlsPort

import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { authority } from './authority.ts';
import { type DnsServer, dnsServer } from './dns-server.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { whenDone } from './lifetime.ts';
import { needs } from './needs.ts';

export interface PebbleOptions {
  /** Where it looks for answers to challenges. */
  readonly httpPort: number;
  readonly tlsPort?: number;
  /** Of certificates. */
  readonly lifeSeconds?: number;
  /** Of good nonces, how many it refuses. */
  readonly nonceRejectPercent?: number;
}

type Handler = (incoming: IncomingMessage, response: ServerResponse, body: Buffer) => boolean;

export interface AcmeAuthority {
  /** URL. */
  readonly directory: string;
  /** File with the authority of its own certificate. */
  readonly ca: string;
  readonly dns: DnsServer;
  /** Requests so far: `POST /order-plz`. */
  readonly requests: string[];
  /** How many of them had this path. */
  count(path: string): number;
  /** Asked first for each request; true: it has answered, or never will. */
  handler: Handler | null;
  /** From now on it answers. */
  start(options: PebbleOptions): Promise<void>;
  /** Gone: connections are refused an answer (503). */
  stop(): Promise<void>;
  /** In each directory that is given out. */
  extra: Record<string, unknown>;
}

/** `names` lead to 127.0.0.1. */
export async function acmeAuthority(
  skip: (reason: string) => never,
  names: readonly string[],
): Promise<AcmeAuthority> {
  const program = needs('pebble', skip);
  const issuer = authority(skip);
  const own = issuer.issue('IP:127.0.0.1');
  const dns = await dnsServer();
  for (const name of names) dns.records.set(name, [{ type: 'A', address: '127.0.0.1' }]);
  let pebble: ChildProcess | null = null;
  let port = 0;
  const server = createServer({ cert: own.cert, key: own.key }, (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => answer(incoming, response, Buffer.concat(chunks)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = async (): Promise<void> => {
    const child = pebble;
    pebble = null;
    if (child === null || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  whenDone(async () => {
    await stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const made: AcmeAuthority = {
    directory: `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`,
    ca: issuer.caFile,
    dns,
    requests: [],
    count: (path) => made.requests.filter((each) => each.endsWith(` ${path}`)).length,
    handler: null,
    extra: {},
    stop,
    start: async (options) => {
      await stop();
      [pebble, port] = await startPebble(program, own, dns, options);
    },
  };

  function answer(incoming: IncomingMessage, response: ServerResponse, body: Buffer): void {
    made.requests.push(`${incoming.method} ${incoming.url}`);
    if (made.handler?.(incoming, response, body) === true) return;
    if (pebble === null) {
      response.writeHead(503).end('away');
      return;
    }
    const { method, url = '/', headers } = incoming;
    const onward = request(
      { host: '127.0.0.1', port, method, path: url, headers, ca: issuer.ca, agent: false },
      (reply) => {
        const parts: Buffer[] = [];
        reply.on('data', (part: Buffer) => parts.push(part));
        reply.on('end', () => {
          let content = Buffer.concat(parts);
          if (url === '/dir' && reply.statusCode === 200)
            content = Buffer.from(JSON.stringify({ ...JSON.parse(content.toString()), ...made.extra }));
          const { 'content-length': _length, connection: _connection, ...rest } = reply.headers;
          response.writeHead(reply.statusCode ?? 500, rest).end(content);
        });
      },
    );
    onward.on('error', () => response.writeHead(503).end('away'));
    onward.end(body);
  }
  return made;
}

async function startPebble(
  program: string,
  { certFile, keyFile }: { readonly certFile: string; readonly keyFile: string },
  dns: DnsServer,
  { httpPort, tlsPort = 1, lifeSeconds = 3600, nonceRejectPercent = 0 }: PebbleOptions,
): Promise<[ChildProcess, number]> {
  // somebody else may have taken the port meanwhile
  for (;;) {
    const port = await freePort();
    const config = {
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: '',
        certificate: certFile,
        privateKey: keyFile,
        httpPort,
        tlsPort,
        ocspResponderURL: '',
        externalAccountBindingRequired: false,
        certificateValidityPeriod: lifeSeconds,
      },
    };
    const file = join(dirname(certFile), `pebble-${port}.json`);
    writeFileSync(file, JSON.stringify(config));
    const child = spawn(program, ['-config', file, '-dnsserver', dns.address], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        PEBBLE_VA_NOSLEEP: '1',
        PEBBLE_AUTHZREUSE: '0',
        PEBBLE_WFE_NONCEREJECT: String(nonceRejectPercent),
      },
    });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
    await eventually(async () => child.exitCode !== null || (await isAnswering(port)), {
      what: () => `pebble to listen; it printed:\n${output}`,
    });
    if (child.exitCode === null) return [child, port];
    if (!output.includes('address already in use')) throw new Error(`pebble has ended:\n${output}`);
  }
}

function isAnswering(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/dir', rejectUnauthorized: false, agent: false },
      (reply) => {
        reply.resume();
        resolve(true);
      },
    );
    asked.on('error', () => resolve(false));
    asked.end();
  });
}
