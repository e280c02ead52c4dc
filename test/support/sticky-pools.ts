// Every sticky mode as one pool of one configuration, told apart by the Host header `MODE.test`.

import { serversYaml } from './session-servers.ts';
import type { User } from './user.ts';

export interface StickyMode {
  readonly name: string;
  /** Flow YAML of the pool's `sticky`. */
  readonly sticky: string;
  /** The request header that carries the key: chosen by the client, or learned from the server's reply at log-in. */
  readonly header?: 'chosen' | 'learned';
}

export const STICKY_MODES: readonly StickyMode[] = [
  { name: 'cookie-hash', sticky: '{ mode: cookie-hash }' },
  { name: 'application-cookie', sticky: '{ mode: cookie-hash, cookie: connect.sid }' },
  { name: 'cookie-pin', sticky: '{ mode: cookie-pin, cookie: pinned }' },
  { name: 'learn-cookie', sticky: '{ mode: learn, cookie: connect.sid }' },
  { name: 'learn-header', sticky: '{ mode: learn, header: x-session-id }', header: 'learned' },
  { name: 'header-hash', sticky: '{ mode: header-hash, header: x-tenant }', header: 'chosen' },
  { name: 'address-hash', sticky: '{ mode: address-hash }' },
];

/** Pools for `modes`, all in front of the same servers. */
export function stickyYaml(
  modes: readonly StickyMode[],
  servers: readonly { readonly name: string; readonly url: string }[],
  poolLines: readonly string[] = [],
): string {
  return [
    'listen: [{ address: 127.0.0.1:0 }]',
    'admin: { address: 127.0.0.1:0 }',
    'trusted: []',
    'routes:',
    ...modes.map(({ name }) => `  - { host: ${name}.test, pool: ${name} }`),
    'pools:',
    ...modes.flatMap(({ name, sticky }) => [
      `  ${name}:`,
      `    sticky: ${sticky}`,
      ...poolLines.map((line) => `    ${line}`),
      '    servers:',
      serversYaml(servers),
    ]),
  ].join('\n');
}

/** Headers of a user of this mode's pool. */
export function headersFor(mode: StickyMode, user: string): Record<string, string> {
  return { host: `${mode.name}.test`, ...(mode.header === 'chosen' ? { 'x-tenant': user } : {}) };
}

/** Logs in and keeps what this mode needs kept. */
export async function logIn(mode: StickyMode, user: User): Promise<void> {
  const reply = await user.login();
  if (mode.header === 'learned') user.headers['x-session-id'] = reply.header('x-session-id') ?? '';
}
