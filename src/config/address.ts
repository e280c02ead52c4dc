// Addresses in configurations: where to listen, which peers to trust, where a server is. Nothing is looked up here.

import { isIP, isIPv6 } from 'node:net';
import { basename } from 'node:path';
import { lookupServer, type ServerLookup, withoutRootDot } from '../base/server-lookup.ts';

/** Who connects over a unix socket is on this machine, and counts as this address. */
export const UNIX_PEER = '127.0.0.1';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A refusal says what is wrong and what is allowed. */
export type Refused = { readonly refused: string };

const LISTEN_FORMS = 'expected host:port, [::1]:8080 or :8080';

/** `127.0.0.1:8080`, `localhost:0`, `[::1]:8080`, `:8080` (every IPv4 address). */
export function parseListenAddress(text: string): HostPort | Refused {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (match === null) {
    if (/^\d+$/.test(text)) return { refused: `"${text}" is a port without an address, write ":${text}"` };
    if (isIPv6(text)) return { refused: `"${text}" needs a port and brackets, write "[${text}]:8080"` };
    if (/^https?:\/\//.test(text)) return { refused: `"${text}" is a URL, ${LISTEN_FORMS}` };
    return { refused: `"${text}" is not an address, ${LISTEN_FORMS}` };
  }
  const [, bracketed, plain, digits] = match;
  const port = Number(digits);
  if (port > 65_535) return { refused: `port ${port} is above 65535` };
  if (bracketed !== undefined) {
    return isIPv6(bracketed)
      ? { host: bracketed, port }
      : { refused: `"[${bracketed}]" is not an IPv6 address` };
  }
  const host = plain ?? '';
  if (host === '') return { host: '0.0.0.0', port };
  return isHost(host)
    ? { host: host.toLowerCase(), port }
    : { refused: `"${host}" is not a host name or IP address` };
}

/** `host:port` with IPv6 in brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for 127.0.0.0/8, ::1 and localhost: only this machine can connect. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Where a server is and how it is spoken to. */
export interface ServerAddress {
  /** Normalised, all of the below: http://host:port/path, https: alike, or unix:/path. */
  readonly url: string;
  /** As it is looked up, perhaps with a dot at its end; '' where `socketPath` leads there. */
  readonly host: string;
  /** 0 where `socketPath` leads there. */
  readonly port: number;
  /** Unix socket; null: it is over host and port. */
  readonly socketPath: string | null;
  /** Put before the path of each request, without a slash at its end; '': nothing. */
  readonly basePath: string;
  readonly isTls: boolean;
}

/** Unix sockets have shorter addresses than files have paths; the rest is for the name it has while it is made. */
const SOCKET_PATH_BYTES_MAX = 99;
/** RFC 3986 pchar and "/", without dot segments: what every server reads alike. */
const BASE_PATH = /^(\/(?!\.{1,2}(\/|$))(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+)+\/?$/;

/** The path in `unix:/run/app.sock` or `http+unix:///run/app.sock`; null when it is written otherwise. */
export function parseSocketPath(text: string): { readonly socketPath: string } | Refused | null {
  const path = /^(?:http\+)?unix:(?:\/\/(?=\/))?(.*)$/is.exec(text)?.[1];
  if (path === undefined) return null;
  if (!path.startsWith('/') || path.endsWith('/'))
    return { refused: `"${text}" is not an absolute path of a socket, expected unix:/run/app.sock` };
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_BYTES_MAX)
    return { refused: `the path of a socket has at most ${SOCKET_PATH_BYTES_MAX} bytes, not ${bytes}` };
  return path.includes('\0') ? { refused: 'the path of a socket has no NUL' } : { socketPath: path };
}

/** `http://host[:port][/path]` or `https:` alike, the port is 80 or 443 when absent; or `unix:/path/of/socket`. */
export function parseServerUrl(text: string): ServerAddress | Refused {
  const unix = parseSocketPath(text);
  if (unix !== null)
    return 'refused' in unix
      ? unix
      : { ...serverAt('', 0), url: `unix:${unix.socketPath}`, socketPath: unix.socketPath };
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(.*)$/.exec(text);
  if (match === null)
    return { refused: `"${text}" is not a URL, expected http://host or http://host:port${hint(text)}` };
  const [, written = '', authority = '', rest = ''] = match;
  const scheme = written.toLowerCase();
  const isTls = scheme === 'https';
  const refused = refuseScheme(scheme) ?? refuseRest(authority, rest);
  if (refused !== null) return { refused };
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(authority);
  if (parts === null) return { refused: `"${authority}" is not host:port` };
  const port = parts[3] === undefined ? defaultPort(isTls) : Number(parts[3]);
  if (port < 1 || port > 65_535) return { refused: `port ${port} is not from 1 to 65535` };
  const isHostValid = parts[1] === undefined ? isServerHost(parts[2] ?? '') : isIPv6(parts[1]);
  if (!isHostValid) return { refused: `"${parts[1] ?? parts[2]}" is not a host name or IP address` };
  return serverAt((parts[1] ?? parts[2] ?? '').toLowerCase(), port, rest.replace(/\/$/, ''), isTls);
}

/** The port of a URL without one. */
export function defaultPort(isTls: boolean): number {
  return isTls ? 443 : 80;
}

/** A server over host and port. */
export function serverAt(host: string, port: number, basePath = '', isTls = false): ServerAddress {
  return {
    url: `${isTls ? 'https' : 'http'}://${formatHostPort({ host, port })}${basePath}`,
    host,
    port,
    socketPath: null,
    basePath,
    isTls,
  };
}

/** What a server is called that was given no name: host:port, or the file name of its socket. The same with a dot and without. */
export function serverNameOf({ host, port, socketPath }: ServerAddress): string {
  return socketPath === null
    ? formatHostPort({ host: withoutRootDot(host), port })
    : basename(socketPath)
        .replace(/^[^A-Za-z0-9_]|[^A-Za-z0-9._-]/g, '_')
        .slice(0, 128);
}

/** Where to connect, as node:net takes it. */
export type Place =
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly lookup: ServerLookup };

export function placeOf({
  host,
  port,
  socketPath,
}: Pick<ServerAddress, 'host' | 'port' | 'socketPath'>): Place {
  return socketPath === null ? { host, port, lookup: lookupServer } : { path: socketPath };
}

/** A CIDR such as `10.0.0.0/8`; a bare address becomes /32 or /128. `loose` when bits beyond the prefix are set. */
export function parseCidr(text: string): { readonly cidr: string; readonly isLoose: boolean } | Refused {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0 || address.includes('%')) {
    return { refused: `"${text}" is not an IP address or CIDR such as 10.0.0.0/8` };
  }
  const bitsMax = family === 4 ? 32 : 128;
  if (bits === undefined) return { cidr: `${address}/${bitsMax}`, isLoose: false };
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > bitsMax) {
    return { refused: `"${text}" has a prefix length that is not from 0 to ${bitsMax}` };
  }
  const isLoose = family === 4 && hasBitsBeyond(address, Number(bits));
  return { cidr: `${address}/${Number(bits)}`, isLoose };
}

function hasBitsBeyond(address: string, bits: number): boolean {
  const value = address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  return value % 2 ** (32 - bits) !== 0;
}

function refuseScheme(scheme: string): string | null {
  if (scheme === 'http' || scheme === 'https') return null;
  return `scheme "${scheme}://" is not supported, only http://, https:// and unix:`;
}

function refuseRest(authority: string, rest: string): string | null {
  if (authority.includes('@'))
    return 'a server URL takes no user or password, the balancer passes on what the client sends';
  if (rest === '' || rest === '/') return null;
  if (BASE_PATH.test(rest)) return null;
  if (/^[^?#]*$/.test(rest))
    return `"${rest}" is not a path to put before that of each request: segments of plain characters, none of them empty, "." or ".."`;
  return `a server URL takes no query or fragment ("${rest}")`;
}

function hint(text: string): string {
  return /^[\w.-]+(:\d+)?$/.test(text) && /\D/.test(text) ? `, did you mean "http://${text}"?` : '';
}

function isHost(text: string): boolean {
  if (isIP(text) === 4) return true;
  // all digits and dots would be a mistyped IPv4 address
  if (/^[\d.]*$/.test(text) || text.length > 253) return false;
  return text.split('.').every((label) => /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/.test(label));
}

/** Of an address, or of a name that may say with a dot at its end that it is complete. */
function isServerHost(text: string): boolean {
  const name = withoutRootDot(text);
  return isHost(name) && (name === text || isIP(name) === 0);
}

/** As an HTTP client writes it: without the port that is usual, and the dot of a complete name. */
export function authorityOf({
  host,
  port,
  socketPath,
  isTls,
}: {
  readonly host: string;
  readonly port: number;
  readonly socketPath: string | null;
  readonly isTls: boolean;
}): string {
  if (socketPath !== null) return 'localhost';
  const whole = formatHostPort({ host: withoutRootDot(host), port });
  return port === defaultPort(isTls) ? whole.slice(0, -`:${port}`.length) : whole;
}
