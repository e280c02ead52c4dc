/** node:http2 as a proxy: what one costs that is written on it. */
import { join } from 'node:path';
import type { Peer } from './peer.ts';

export const NODE_HTTP2: Peer = {
  name: 'node-http2',
  speaksTls: true,
  sticky: null,
  version: () => process.versions.node,
  launch: ({ port, secure, backends }) => ({
    command: [
      ...[process.execPath, join(import.meta.dirname, 'node-http2-proxy.ts')],
      ...[`${port}`, `${secure.port}`, secure.cert, secure.key],
      ...backends.map((backend) => `${backend.port}`),
    ],
    printsPort: false,
  }),
};
