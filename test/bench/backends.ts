/** The two backends behind every timed proxy: nginx where it exists, else our canned responder. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, freePorts, isAccepting, startChild, until } from './children.ts';
import { findProgram } from './cores.ts';
import { makeFolder, removeFolder } from './folders.ts';
import { CALL_PATH, LARGE_BODY_BYTES, MESSAGE_BYTES, SMALL_BODY_BYTES } from './scenarios.ts';

export type Backend = { readonly name: string; readonly port: number };
/** What the backends speak; HTTP/2 is by prior knowledge. */
export type Spoken = 'h1' | 'h2';

export type Backends = {
  readonly text: string;
  readonly list: readonly Backend[];
  readonly stop: () => Promise<void>;
};

const START_MS = 10_000;
const NAMES = ['a', 'b'] as const;

/** Starts both backends on the core of the load generator. */
export async function startBackends(core: number | null, spoken: Spoken = 'h1'): Promise<Backends> {
  const nginx = findProgram('nginx');
  if (nginx === null && spoken === 'h2')
    throw new Error('no nginx on this machine: nothing else here speaks HTTP/2');
  return nginx === null ? startCanned(core) : startNginx(nginx, core, spoken);
}

/** Two canned responders, each a process of its own. They alone can generate endless bodies. */
export async function startCanned(core: number | null): Promise<Backends> {
  const children = NAMES.map((name) =>
    startChild([process.execPath, join(import.meta.dirname, 'canned-backend.ts'), name], core),
  );
  const ports = await Promise.all(
    children.map((child) => until(child, 'a backend', START_MS, () => portOf(child))),
  );
  const list = NAMES.map((name, index) => ({ name, port: ports[index]! }));
  return { text: 'canned responders on node:net', list, stop: () => stopAll(children) };
}

/** The port in the line `listening on http://ADDRESS:PORT` that a child printed; null before it did. */
export function portOf(child: Child): number | null {
  const match = /^listening on http:\/\/\S+:(\d+)\s*$/m.exec(child.stdout());
  return match === null ? null : Number(match[1]);
}

async function startNginx(nginx: string, core: number | null, spoken: Spoken): Promise<Backends> {
  const ports = await freePorts(NAMES.length);
  const list = NAMES.map((name, index) => ({ name, port: ports[index]! }));
  const folder = makeFolder('backends');
  writeFileSync(join(folder, 'large'), Buffer.alloc(LARGE_BODY_BYTES, 'l'));
  writeFileSync(join(folder, 'nginx.conf'), nginxText(folder, list, spoken));
  const child = startChild([nginx, '-p', folder, '-c', join(folder, 'nginx.conf')], core);
  for (const { port } of list) {
    await until(child, 'nginx backends', START_MS, async () => ((await isAccepting(port)) ? true : null));
  }
  const stop = async (): Promise<void> => {
    await child.stop();
    removeFolder(folder);
  };
  return { text: 'nginx, two servers in one worker process', list, stop };
}

function nginxText(folder: string, list: readonly Backend[], spoken: Spoken): string {
  const server = ({ name, port }: Backend): string => `
  server {
    listen 127.0.0.1:${port} ${spoken === 'h2' ? 'http2' : ''} backlog=4096;
    add_header Cache-Control "private, max-age=0";
    add_header Vary Accept-Encoding;
    add_header X-Content-Type-Options nosniff;
    add_header X-Backend ${name};
    location / { return 200 "${'s'.repeat(SMALL_BODY_BYTES)}"; }
    location = /large { alias ${folder}/large; }
    location = ${CALL_PATH} {
      default_type application/grpc;
      add_trailer grpc-status 0;
      return 200 "${'g'.repeat(MESSAGE_BYTES)}";
    }
  }`;
  const user = process.getuid?.() === 0 ? 'user root;' : ''; // else root's worker may not read our folder
  return `daemon off; worker_processes 1; ${user} pid ${folder}/pid; error_log ${folder}/error.log crit;
events { worker_connections 16384; }
http {
  access_log off; default_type "text/html; charset=utf-8"; server_tokens off;
  sendfile on; tcp_nopush on; tcp_nodelay on; open_file_cache max=16 inactive=1h;
  keepalive_timeout 600s; keepalive_requests 1000000000; large_client_header_buffers 4 32k;
  ${temporaryFolders(folder)}
  ${list.map(server).join('')}
}
`;
}

/** nginx's folders for spilled bodies, kept inside ours: the compiled-in ones may not be writable. */
export function temporaryFolders(folder: string): string {
  return ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/${kind};`)
    .join(' ');
}

async function stopAll(children: readonly Child[]): Promise<void> {
  await Promise.all(children.map((child) => child.stop()));
}
