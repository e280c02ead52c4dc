// Which certificate a client gets: by the name that it asks for (SNI, RFC 6066 section 3), exact before wildcard, else the
// first. Certificates of one name with different kinds of keys are offered together, and OpenSSL takes what the client knows.

import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { Certificate, TlsMaterial } from './certificate.ts';
import { ticketsIn } from './client-hello.ts';
import { contextOptions } from './context-options.ts';
import type { TlsConfig } from './options.ts';
import { certificateEndMs } from './tickets.ts';

/** Material and the keys of its tickets, as main hands it to the threads. Structured-cloneable. */
export interface ListenerSecrets extends TlsMaterial {
  /** 48 bytes: who has them can resume a session that another thread or process has begun. */
  readonly ticketKeys: Uint8Array;
  /** Sessions of another listener, or under other authorities, are not resumed. At most 32 characters. */
  readonly sessionContext: string;
  /** What authorities that ask in the handshake are shown (RFC 8737). */
  readonly proofs: readonly Certificate[];
}

/** Those of one name, and what they are known by. */
interface CertificateSet {
  readonly key: string;
  readonly certificates: readonly Certificate[];
}

export class TlsContexts {
  readonly secrets: ListenerSecrets;
  readonly default: SecureContext;
  readonly #byName = new Map<string, CertificateSet>();
  readonly #proofs = new Map<string, SecureContext>();
  /** What all contexts have in common. */
  readonly #common: SecureContextOptions;
  readonly #config: TlsConfig;
  /** By their certificates. Made when the first client asks: each takes half a millisecond, and there may be a thousand. */
  readonly #made = new Map<string, SecureContext>();
  readonly #resumes: boolean;
  /** As these, but that resume nothing; null: nobody has needed them yet. */
  #anew: TlsContexts | null = null;

  /** `former`: those until now; what nothing has changed of is taken from there. */
  constructor(config: TlsConfig, secrets: ListenerSecrets, former: TlsContexts | null, resumes = true) {
    this.secrets = secrets;
    this.#resumes = resumes;
    this.#config = config;
    this.#common = this.#options([]);
    const byName = new Map<string, Certificate[]>();
    for (const certificate of secrets.certificates)
      for (const name of certificate.names) byName.set(name, [...(byName.get(name) ?? []), certificate]);
    const isLike = former !== null && isDeepStrictEqual(this.#common, former.#common);
    for (const [name, certificates] of byName) {
      const set = setOf(certificates);
      this.#byName.set(name, set);
      const known = isLike ? former.#made.get(set.key) : undefined;
      if (known !== undefined) this.#made.set(set.key, known);
    }
    for (const { label, cert, key } of secrets.proofs)
      this.#proofs.set(label, createSecureContext({ cert, key }));
    const [first] = secrets.certificates;
    if (first === undefined) throw new Error('a listener with TLS has no certificate');
    this.default = this.#contextOf(this.#byName.get(first.names[0] ?? '') ?? setOf([first]));
  }

  #options(certificates: readonly Certificate[]): SecureContextOptions {
    const { ticketKeys, sessionContext } = this.secrets;
    const options = contextOptions(this.#config, this.secrets, certificates);
    return {
      ...options,
      ...(this.#resumes ? {} : { secureOptions: (options.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET }),
      ticketKeys: Buffer.from(ticketKeys),
      sessionIdContext: sessionContext,
    };
  }

  /** Main has tried all of them: none is met here that cannot be made. */
  #contextOf({ key, certificates }: CertificateSet): SecureContext {
    const context = this.#made.get(key) ?? createSecureContext(this.#options(certificates));
    this.#made.set(key, context);
    return context;
  }

  /**
   * For a client that begins so: one that would go on with a session whose certificate has ended since shakes hands in full,
   * and shows what it has now.
   */
  forHello(hello: Buffer, wallMs: number): TlsContexts {
    if (this.#config.clientAuth === 'none') return this;
    for (const ticket of ticketsIn(hello)) {
      const endMs = certificateEndMs(ticket, this.secrets.ticketKeys);
      if (endMs !== null && endMs <= wallMs) return this.#withoutResumption();
    }
    return this;
  }

  #withoutResumption(): TlsContexts {
    this.#anew ??= new TlsContexts(this.#config, this.secrets, null, false);
    return this.#anew;
  }

  /** Authorities may come and ask. */
  get hasProofs(): boolean {
    return this.#proofs.size > 0;
  }

  /** What an authority that asks for the name is shown; null: it is not expected. */
  proof(name: string): SecureContext | null {
    return this.#proofs.get(name.toLowerCase()) ?? null;
  }

  /** Null: none is for that name. */
  find(name: string): SecureContext | null {
    const lower = name.toLowerCase();
    const dot = lower.indexOf('.');
    const wildcard = dot < 0 ? undefined : this.#byName.get(`*${lower.slice(dot)}`);
    const found = this.#byName.get(lower) ?? wildcard;
    return found === undefined ? null : this.#contextOf(found);
  }
}

function setOf(certificates: readonly Certificate[]): CertificateSet {
  return { key: certificates.map(({ cert }) => cert).join(''), certificates };
}
