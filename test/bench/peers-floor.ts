/** What passing bytes on costs, with nothing known of HTTP: the floor under every proxy of its kind. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './cores.ts';
import { type Launch, type Peer, programVersion, type Site } from './peer.ts';

/** HAProxy in TCP mode. */
export const HAPROXY_TCP: Peer = {
  name: 'haproxy tcp',
  speaksTls: false,
  sticky: null,
  version: () => programVersion('haproxy', ['-v']),
  launch(site: Site): Launch {
    const file = join(site.folder, 'haproxy-tcp.cfg');
    const servers = site.backends.map(({ name, port }) => `  server ${name} 127.0.0.1:${port}`);
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn ${site.connectionsMax}
defaults
  mode tcp
  timeout connect 2s
  timeout client 600s
  timeout server 600s
frontend bench
  bind 127.0.0.1:${site.port} backlog 4096
  default_backend shop
backend shop
  balance roundrobin
${servers.join('\n')}
`,
    );
    return { command: [findProgram('haproxy') ?? 'haproxy', '-db', '-f', file], printsPort: false };
  },
};

/** Node's own sockets, piped. */
export const RELAY: Peer = {
  name: 'node relay',
  speaksTls: true,
  sticky: null,
  version: () => process.versions.node,
  launch: ({ port, secure, backends }) => ({
    command: [
      ...[process.execPath, join(import.meta.dirname, 'relay.ts')],
      ...[`${port}`, `${secure.port}`, secure.cert, secure.key],
      ...backends.map((backend) => `${backend.port}`),
    ],
    printsPort: false,
  }),
};

/** The least between HTTP/2 over TLS and HTTP/1, in Node. */
export const HTTP2_RELAY: Peer = {
  ...RELAY,
  launch: (site) => {
    const { command, printsPort } = RELAY.launch(site);
    return { command: command.map((each) => each.replace('relay.ts', 'http2-relay.ts')), printsPort };
  },
};
