/** The proxies from npm. They forward; choosing a server is the caller's affair, so we turn round two targets. */
import { join } from 'node:path';
import { type Peer, packageVersion } from './peer.ts';

const NAMES = ['http-proxy', 'http-proxy-3', 'httpxy', 'fast-proxy'] as const;

/** One adapter for each package; all run npm-proxy.ts, each in its own process. */
export const NPM_PEERS: readonly Peer[] = NAMES.map((name) => ({
  name,
  sticky: null,
  speaksTls: false,
  version: () => packageVersion(name),
  launch: (site) => ({
    command: [
      process.execPath,
      join(import.meta.dirname, 'npm-proxy.ts'),
      name,
      ...site.backends.map(({ port }) => `http://127.0.0.1:${port}`),
    ],
    printsPort: true,
  }),
}));
