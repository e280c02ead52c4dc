// TLS connections to one server: verified unless told otherwise, and resumed where the server lets us.

import { isIP, type OnReadOpts, Socket } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { withoutRootDot } from './server-lookup.ts';
import { noteEndOfHandshake } from './tls-failure.ts';
import { curvesOf, type GroupName } from './tls-groups.ts';

/** How servers are spoken to; texts in PEM form. */
export interface TlsSettings {
  /** The server's certificate is to be for its name, current, and of a known authority. */
  readonly isVerified: boolean;
  /** Name that is asked for and that the certificate is to have; null: the host's. */
  readonly serverName: string | null;
  /** Of the key exchange, the preferred first; null: as Node has it. */
  readonly groups: readonly GroupName[] | null;
  /** Authorities instead of those that Node comes with. */
  readonly ca: string | null;
  /** What we show of ourselves. */
  readonly cert: string | null;
  readonly key: string | null;
}

/** Where to connect, as node:net takes it. */
type Place = { readonly path: string } | { readonly host: string; readonly port: number };

const contexts = new WeakMap<TlsSettings, SecureContext>();

/** Throws on what OpenSSL cannot read, or a key that does not fit its certificate. One for all who have the settings. */
export function contextOf(settings: TlsSettings): SecureContext {
  const known = contexts.get(settings);
  if (known !== undefined) return known;
  const { ca, cert, key, groups } = settings;
  const context = createSecureContext({
    ...(ca === null ? {} : { ca }),
    ...(groups === null ? {} : { ecdhCurve: curvesOf(groups) }),
    ...(cert === null || key === null ? {} : { cert, key }),
  });
  contexts.set(settings, context);
  return context;
}

/** What is offered by ALPN to servers of a pool with that `protocol`, the best first. */
const OFFERED = {
  h1: ['http/1.1'],
  h2: ['h2'],
  auto: ['h2', 'http/1.1'],
} as const;

export class TlsClient {
  readonly #settings: TlsSettings;
  readonly #serverName: string;
  readonly #resumes: boolean;
  readonly #protocol: keyof typeof OFFERED;
  #session: Buffer | null = null;
  readonly #checkName: typeof checkServerIdentity = (_host, certificate) =>
    checkServerIdentity(this.#serverName, certificate);

  /** `resumes`: a resumed session is not verified again; a check should not. */
  constructor(settings: TlsSettings, host: string, resumes: boolean, protocol: keyof typeof OFFERED) {
    this.#settings = settings;
    this.#serverName = settings.serverName ?? withoutRootDot(host);
    this.#resumes = resumes;
    this.#protocol = protocol;
  }

  /**
   * A socket that is secure when 'secureConnect' comes; before it, 'error' says why it is not. `before`: text in the clear
   * that the connection begins with; Node heeds `onread` without one only, and there is 'data' then.
   */
  connect(place: Place, before: string | null, onread: OnReadOpts | null): TLSSocket {
    // the types leave two out, which go on to node:net
    const options: ConnectionOptions & { readonly onread?: OnReadOpts; readonly allowHalfOpen: boolean } = {
      ...place,
      ...(before === null ? {} : { socket: begun(place, before) }),
      // RFC 6066 section 3: an address is no server name, and is asked for by none
      servername: isIP(this.#serverName) === 0 ? this.#serverName : '',
      // where none is asked for Node would look for the host
      checkServerIdentity: this.#checkName,
      secureContext: contextOf(this.#settings),
      rejectUnauthorized: this.#settings.isVerified,
      ALPNProtocols: [...OFFERED[this.#protocol]],
      allowHalfOpen: true,
      ...(this.#session === null ? {} : { session: this.#session }),
      ...(onread === null || before !== null ? {} : { onread }),
    };
    const socket = connect(options);
    socket.setNoDelay(true);
    socket.once('error', noteEndOfHandshake);
    socket.once('secureConnect', () => socket.off('error', noteEndOfHandshake));
    if (!this.#resumes) return socket;
    socket.on('session', (session: Buffer) => {
      this.#session = session;
    });
    // whatever was wrong, the next handshake is a whole one
    socket.on('error', () => {
      this.#session = null;
    });
    return socket;
  }
}

function begun(place: Place, before: string): Socket {
  const socket = new Socket({ allowHalfOpen: true });
  // the TLS socket has it too
  socket.on('error', () => undefined);
  socket.connect(place);
  socket.write(before, 'latin1');
  return socket;
}
