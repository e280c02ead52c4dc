// What all streams of a connection say of the client at its other end.

import type { Ends } from '../../base/proxy-protocol.ts';
import type { ListenConfig } from '../../config/model.ts';
import type { TlsFacts } from '../../exchange/tls-facts.ts';
import type { ClientFacts } from '../client-facts.ts';

/** The connection as far as this is concerned. */
export interface FactsSource {
  readonly facts: ClientFacts;
  readonly listener: { readonly config: ListenConfig };
}

export abstract class StreamFacts {
  readonly #source: FactsSource;

  constructor(source: FactsSource) {
    this.#source = source;
  }

  get config(): ListenConfig {
    return this.#source.listener.config;
  }

  get ends(): Ends | null {
    return this.#source.facts.ends;
  }

  get tls(): TlsFacts | null {
    return this.#source.facts.tls;
  }

  get peerAddress(): string {
    return this.#source.facts.peerAddress;
  }

  get isTrusted(): boolean {
    return this.#source.facts.isTrusted;
  }

  get scheme(): 'http' | 'https' {
    return this.#source.facts.scheme;
  }

  get localPort(): number {
    return this.#source.facts.localPort;
  }

  get forwardingLines(): string {
    return this.#source.facts.forwardingLines;
  }

  get listenAuthority(): string {
    return this.#source.facts.listenAuthority;
  }

  get lastHost(): string {
    return this.#source.facts.lastHost;
  }

  set lastHost(host: string) {
    this.#source.facts.lastHost = host;
  }
}
