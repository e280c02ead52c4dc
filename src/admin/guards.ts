// Who may ask what of the admin server: host names, origins, the token. Pure.

import { createHash, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** Whether an address is reachable from this machine only. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost') || bare === '::1') return true;
  return isIPv4(bare) && bare.startsWith('127.');
}

/**
 * Whether a Host header can be meant for a server on a loopback address. A page of some other site whose name was
 * pointed at 127.0.0.1 (DNS rebinding) sends that name, and is turned away.
 */
export function isLoopbackHostHeader(header: string): boolean {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:]+)(?::\d{1,5})?$/.exec(header);
  return match?.[1] !== undefined && isLoopback(match[1]);
}

/** Whether the request comes from a page of another site. Programs send no Origin and pass. */
export function isForeignOrigin(origin: string | undefined, hostHeader: string): boolean {
  if (origin === undefined) return false;
  try {
    return new URL(origin).host.toLowerCase() !== hostHeader.toLowerCase();
  } catch {
    return true;
  }
}

/** Compares in constant time, whatever the lengths. An empty token lets everybody pass. */
export function bearsToken(authorization: string | undefined, token: string): boolean {
  if (token === '') return true;
  const given = /^Bearer +([^\s]+) *$/i.exec(authorization ?? '')?.[1] ?? '';
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
