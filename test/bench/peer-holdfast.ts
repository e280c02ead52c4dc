/** Holdfast as a user runs it: `holdfast run`, sticky by hashed cookie. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyName, StickyMode } from '../../src/config/model.ts';
import { type Launch, type Peer, packageVersion, ROOT, type Site } from './peer.ts';

export const HOLDFAST: Peer = {
  name: 'holdfast',
  speaksTls: true,
  asksInHttp2: true,
  sticky: 'cookie-hash, session table',
  version: () => packageVersion('holdfast') ?? 'checkout',
  launch: (site) => launch(site, 'round-robin', 'cookie-hash'),
};

/** Without affinity, so that the policy chooses for each request; named after it. */
export function holdfastBy(policy: PolicyName): Peer {
  return {
    ...HOLDFAST,
    name: policy,
    sticky: null,
    launch: (site) => launch(site, policy, 'none'),
  };
}

function launch(site: Site, policy: PolicyName, mode: StickyMode): Launch {
  const file = join(site.folder, 'holdfast.yaml');
  writeFileSync(file, configText(site, policy, mode));
  const command = [
    process.execPath,
    join(ROOT, 'src/holdfast.mjs'),
    'run',
    '--config',
    file,
    '--threads',
    String(site.threads),
  ];
  return { command, printsPort: true };
}

function configText(site: Site, policy: PolicyName, mode: StickyMode): string {
  const { port, cert, key } = site.secure;
  const servers = site.backends.map(
    ({ name, port }) => `      - { name: ${name}, url: "http://127.0.0.1:${port}" }`,
  );
  return `listen:
  - address: 127.0.0.1:0
    limits: { connections: ${site.connectionsMax} }
    timeouts: { keepAlive: 10m }
  - address: 127.0.0.1:${port}
    limits: { connections: ${site.connectionsMax} }
    timeouts: { keepAlive: 10m }
    tls: { certificates: [{ cert: ${cert}, key: ${key} }] }
admin: { address: 127.0.0.1:0 }
pools:
  bench:
    policy: ${policy}
    protocol: ${site.spoken}
    sticky: { mode: ${mode} }
    servers:
${servers.join('\n')}
`;
}
