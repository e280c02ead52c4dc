// The keys of a listener: where clients connect, and how long and how much they may.

import { checkFileMode } from './check-text.ts';
import { choice, duration, flag, integer, size, text } from './leaf.ts';
import { listenerAddress } from './leaf-address.ts';
import { http2 } from './schema-http2.ts';
import { rateLimit } from './schema-parts.ts';
import { tls } from './schema-tls.ts';
import { key, mapping, optional } from './table.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KIB = 1_024;
const MIB = 1_024 * KIB;
const TIB = 1_024 * 1_024 * MIB;

/** Where clients connect unless a configuration says otherwise. */
const LISTEN_DEFAULT = '0.0.0.0:8080';

const listenTimeouts = mapping({
  header: key(duration(100, 10 * MINUTE), '10s', 'the whole request head must arrive within this time'),
  body: key(duration(100, HOUR), '30s', 'longest silence while a request body is expected'),
  keepAlive: key(
    duration(0, HOUR),
    '75s',
    'idle time between two requests of one connection; 0 closes after each',
  ),
  tunnel: key(duration(SECOND, 7 * DAY), '1h', 'longest silence in a WebSocket'),
});

const listenLimits = mapping({
  headerBytes: key(size(KIB, MIB), '32KiB', 'largest request head, request line included'),
  headerCount: key(integer(1, 1_024), 100, 'most header fields of a request'),
  bodyBytes: key(size(1, 16 * TIB, true), 0, 'largest request body; 0 = no limit'),
  connections: key(integer(0, 1_000_000), 10_000, 'most client connections at once; 0 = no limit'),
  connectionsPerAddress: key(
    integer(0, 1_000_000),
    0,
    'most connections of one client address at once, over all threads; 0 = no limit',
  ),
  requestsPerConnection: key(
    integer(0, 1_000_000_000),
    0,
    'requests after which a client connection is closed; 0 = no limit',
  ),
  minRate: key(
    size(1, 100 * MIB, true),
    0,
    'bytes a second that a client must send while a request is expected of it, and take while a response waits, averaged over 5 s after 5 s of grace; slower ones are cut. 0 = off',
  ),
});

export const listener = mapping(
  {
    address: key(
      listenerAddress(),
      LISTEN_DEFAULT,
      '`host:port`, `[::1]:8080`, or `:8080` for every IPv4 address; port 0 lets the system choose. Or a unix socket, `unix:/run/holdfast.sock`: who connects there counts as 127.0.0.1',
    ),
    mode: optional(
      text('permissions', checkFileMode),
      'permissions of the file of a unix socket; absent: `"0660"`, its owner and group',
    ),
    timeouts: key(listenTimeouts, {}, 'how long a client may take'),
    limits: key(listenLimits, {}, 'how much a client may send'),
    rateLimit: optional(rateLimit, 'for requests by routes without one of their own; absent: none'),
    proxyProtocol: key(
      choice(['off', 'optional', 'required']),
      'off',
      'PROXY header, version 1 or 2, that says whose connection it is: the client is then the one it names, in affinity, limits, logs and forwarding. It is taken from peers in `trusted` only; connections that are refused are closed without a reply. `optional`: others may connect without',
    ),
    halfClose: key(
      choice(['abort', 'answer']),
      'abort',
      'a client that ends its half of the connection after a whole request: `abort` takes it for gone, as browsers that are closed look just the same, and ends the request; `answer` answers it, and those behind it. After a request that says so in its Connection field it is answered in any case',
    ),
    tls: optional(tls, 'how the listener speaks TLS; absent: in the clear'),
    h2c: key(
      flag(),
      false,
      '`true`: HTTP/2 in the clear as well, for clients that begin with it (prior knowledge); over TLS it is agreed by ALPN',
    ),
    http2: key(http2, {}, 'limits of HTTP/2, for each connection'),
    redirectToHttps: key(
      flag(),
      false,
      '`true`: every request to this listener in the clear is answered 308, to the same URL over https, at the port of the first listener with `tls`',
    ),
    redirectPort: optional(
      integer(1, 65_535),
      'for `redirectToHttps`: the port that clients reach https at, where it is not that of the listener, as behind a load balancer or published by a container',
    ),
  },
  'listener',
);
