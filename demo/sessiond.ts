// The central session and user database in its own process: node:sqlite behind loopback HTTP. One process that
// can be killed, stopped and slowed, as a database server can. Every answer comes after the commit.
import { createHash, timingSafeEqual } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { SECRET_VARIABLE } from './flags.ts';
import { openDatabase, type SessionDatabase } from './session-database.ts';
import { DEMO_PASSWORD, hashPassword } from './users.ts';

const BODY_BYTES_MAX = 8 << 20;
const PRUNE_EVERY_MS = 1000;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    file: { type: 'string', default: ':memory:' },
    // The file's folder is a temporary one: delete it when the parent dies without stopping us.
    temporary: { type: 'boolean', default: false },
    users: { type: 'string', default: '10000' },
    'scrypt-cost': { type: 'string', default: '1024' },
  },
});
const secret = process.env[SECRET_VARIABLE] ?? '';
if (secret === '') {
  process.stderr.write(`${SECRET_VARIABLE} must hold the secret that backends send\n`);
  process.exit(2);
}
const database = openDatabase(values.file);
database.addUsers(Number(values.users), await hashPassword(DEMO_PASSWORD, Number(values['scrypt-cost'])));
setInterval(() => database.prune(), PRUNE_EVERY_MS).unref();
const authorization = digest(`Bearer ${secret}`);

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  handle(request, response, database).catch((error: unknown) => {
    process.stderr.write(`${request.url}: ${String(error)}\n`);
    if (!response.headersSent) response.writeHead(500);
    response.end();
  });
});
server.on('error', (error) => {
  process.stderr.write(`port ${values.port}: ${error.message}; choose another with --port\n`);
  process.exit(1);
});
server.listen(Number(values.port), '127.0.0.1', () => {
  process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    server.closeAllConnections();
    database.close();
    process.exit(0);
  });
}
if (process.send !== undefined) {
  process.on('disconnect', () => {
    if (values.temporary) rmSync(dirname(values.file), { recursive: true, force: true });
    process.exit(0);
  });
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  to: SessionDatabase,
): Promise<void> {
  if (!timingSafeEqual(digest(request.headers.authorization ?? ''), authorization)) {
    response.writeHead(401).end();
    return;
  }
  const operation = (request.url ?? '').slice(1);
  const body = await readBody(request);
  if (body === null) {
    response.writeHead(413, { connection: 'close' }).end();
    return;
  }
  if (!to.has(operation)) {
    response.writeHead(404).end();
    return;
  }
  const text = JSON.stringify(to.perform(operation, JSON.parse(body) as Readonly<Record<string, unknown>>));
  response
    .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    .end(text);
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > BODY_BYTES_MAX) return null;
    chunks.push(chunk as Buffer);
  }
  return chunks.length === 0 ? '{}' : Buffer.concat(chunks).toString();
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
