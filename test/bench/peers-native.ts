/** The balancers written in C and Go: HAProxy, nginx and Caddy from the system, the latter two with one thread each. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolders } from './backends.ts';
import { findProgram } from './cores.ts';
import { type Launch, type Peer, programVersion, type Site } from './peer.ts';
import { HOST } from './scenarios.ts';

/** HAProxy, which writes the name of the home into its own cookie. */
export const HAPROXY: Peer = {
  name: 'haproxy',
  speaksTls: true,
  asksInHttp2: true,
  sticky: 'cookie insert indirect',
  version: () => programVersion('haproxy', ['-v']),
  launch: (site) => launchHaproxy(site, true),
};

/** Without affinity: servers in turn. */
export const HAPROXY_IN_TURN: Peer = {
  ...HAPROXY,
  sticky: null,
  launch: (site) => launchHaproxy(site, false),
};

function launchHaproxy(site: Site, isSticky: boolean): Launch {
  const spoken = site.spoken === 'h2' ? ' proto h2' : '';
  const servers = site.backends.map(({ name, port }) => {
    const cookie = isSticky ? ` cookie ${name}` : '';
    return `  server ${name} 127.0.0.1:${port}${cookie} check inter 2s${spoken}`;
  });
  const text = `global
  nbthread ${site.threads}
  maxconn ${site.connectionsMax}
defaults
  mode http
  option forwardfor
  timeout connect 2s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
frontend bench
  bind 127.0.0.1:${site.port} backlog 4096
  bind 127.0.0.1:${site.secure.port} ssl crt ${site.secure.both} alpn h2,http/1.1 ssl-min-ver TLSv1.2 backlog 4096
  http-request set-header X-Forwarded-Proto http
  default_backend shop
backend shop
  balance roundrobin
${isSticky ? '  cookie SRV insert indirect nocache httponly\n' : ''}${servers.join('\n')}
`;
  return run(site, 'haproxy', 'haproxy.cfg', text, (file) => ['-db', '-f', file]);
}

/** nginx: consistent hash on a cookie that it mints itself where the client has none. */
export const NGINX: Peer = {
  name: 'nginx',
  speaksTls: true,
  sticky: 'consistent hash on a cookie',
  version: () => programVersion('nginx', ['-v']),
  launch(site: Site): Launch {
    const user = process.getuid?.() === 0 ? 'user root;' : '';
    const text = `daemon off; worker_processes 1; ${user} pid ${site.folder}/pid;
error_log ${site.folder}/error.log crit; worker_rlimit_nofile ${2 * site.connectionsMax + 100};
events { worker_connections ${2 * site.connectionsMax}; }
http {
  access_log off; server_tokens off; tcp_nodelay on;
  keepalive_timeout 600s; keepalive_requests 1000000000;
  ${temporaryFolders(site.folder)}
  map $cookie_affinity $session { default $cookie_affinity; "" $request_id; }
  map $cookie_affinity $minted { default ""; "" "affinity=$request_id; Path=/; HttpOnly"; }
  upstream shop {
    hash $session consistent;
    ${site.backends.map(({ port }) => `server 127.0.0.1:${port};`).join(' ')}
    keepalive 256; keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${site.port} backlog=4096;
    listen 127.0.0.1:${site.secure.port} ssl http2 backlog=4096;
    ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate ${site.secure.cert}; ssl_certificate_key ${site.secure.key};
    location / {
      proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_buffers 16 16k; proxy_buffer_size 16k; proxy_max_temp_file_size 0;
      add_header Set-Cookie $minted;
    }
  }
}
`;
    return run(site, 'nginx', 'nginx.conf', text, (file) => ['-p', site.folder, '-c', file]);
  },
};

/** Caddy with its own affinity cookie, on one processor of the Go runtime. */
export const CADDY: Peer = {
  name: 'caddy',
  speaksTls: true,
  sticky: 'lb_policy cookie',
  version: () => programVersion('caddy', ['version']),
  launch(site: Site): Launch {
    const targets = site.backends.map(({ port }) => `127.0.0.1:${port}`).join(' ');
    const text = `{
  admin off
  auto_https off
  default_sni ${HOST}
  storage file_system ${site.folder}
  log {
    level ERROR
  }
}
(shop) {
  bind 127.0.0.1
  reverse_proxy ${targets} {
    lb_policy cookie
    transport http {
      keepalive 10m
      keepalive_idle_conns_per_host 256
      compression off
    }
  }
}
http://:${site.port} {
  import shop
}
https://:${site.secure.port} {
  import shop
  tls ${site.secure.cert} ${site.secure.key}
}
`;
    const launch = run(site, 'caddy', 'Caddyfile', text, (file) => [
      'run',
      '--adapter',
      'caddyfile',
      '--config',
      file,
    ]);
    return { ...launch, command: ['/usr/bin/env', 'GOMAXPROCS=1', `HOME=${site.folder}`, ...launch.command] };
  },
};

function run(
  site: Site,
  program: string,
  fileName: string,
  text: string,
  args: (file: string) => readonly string[],
): Launch {
  const file = join(site.folder, fileName);
  writeFileSync(file, text);
  return { command: [findProgram(program) ?? program, ...args(file)], printsPort: false };
}
