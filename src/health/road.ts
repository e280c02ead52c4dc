// The connection of an active check: like those of requests, but for our own.

import { connect, type Socket } from 'node:net';
import { formatProxyHeader } from '../base/proxy-protocol.ts';
import { TlsClient } from '../base/tls-client.ts';
import { placeOf } from '../config/address.ts';
import type { HealthConfig, PoolConfig, ServerConfig } from '../config/model.ts';

/** How a pool's servers are connected to. */
export type Road = Pick<PoolConfig, 'protocol' | 'sendProxyProtocol' | 'secure'>;

/** A connection like those of requests, but for our own. Header first: it is written before anything else can be. */
export function openRoad(server: ServerConfig, { port }: HealthConfig, road: Road): Socket {
  const { protocol, sendProxyProtocol, secure } = road;
  const place = placeOf(port === null ? server : { ...server, port });
  const before = sendProxyProtocol === 'off' ? null : formatProxyHeader(sendProxyProtocol, null);
  // a whole handshake each time: a session that is resumed says nothing of the certificate
  if (server.isTls) return new TlsClient(secure, server.host, false, protocol).connect(place, before, null);
  const socket = connect(place);
  // what undici looks at to know what is spoken
  if (protocol === 'h2') Object.assign(socket, { alpnProtocol: 'h2' });
  if (before !== null) socket.write(before, 'latin1');
  return socket;
}
