// The head that a request goes to its server with: as the program writes it, read back into lines for node:http.

import type { IncomingMessage } from 'node:http';
import { clientAddressOf, isSecureClient } from '../exchange/believed.ts';
import { requestLines } from '../exchange/request-lines.ts';
import { withTraceparent } from '../exchange/traceparent.ts';
import { Field } from '../http1/message.ts';
import type { Client } from './clients.ts';
import type { DataPath } from './data-path.ts';
import { linesOf, type RawLine, withoutNames } from './lines.ts';

/** What is known of the client's side of a request. */
export interface ClientFacts {
  /** Address of the client as far as it can be believed. */
  readonly address: string;
  /** The client spoke TLS, to this server or to a trusted peer before it. */
  readonly isSecure: boolean;
}

export interface OutgoingHead {
  /** As it is sent. */
  readonly text: string;
  readonly target: string;
  readonly lines: readonly RawLine[];
}

/** Reads peer, scheme and, behind trusted peers, what they say of the client. For the head that was parsed last. */
export function clientFacts({ heads, isTrusted }: DataPath, client: Client): ClientFacts {
  const { buffer, request } = heads;
  return {
    address: clientAddressOf(buffer, request, client, isTrusted),
    isSecure: isSecureClient(buffer, request, client, isTrusted),
  };
}

/** For the server, from the head that was parsed last. `upgrade`: pass it on. */
export function outgoingHead(path: DataPath, client: Client, upgrade: boolean): OutgoingHead {
  const { buffer, request } = path.heads;
  const plain = requestLines(buffer, request, client, upgrade, {
    isTrustedAddress: path.isTrusted,
    via: path.via,
  });
  const text = path.startsTraces ? withTraceparent(plain, request) : plain;
  // node:http has answered Expect: 100-continue already; it takes Trailer along with a chunked body only
  const isChunked = request.lines.indexOf(Field.transferEncoding) >= 0;
  const lines = withoutNames(
    linesOf(text),
    (name) => name === 'expect' || (name === 'trailer' && !isChunked),
  );
  return { text, target: text.split(' ', 2)[1] ?? '/', lines };
}

/** What http-proxy may be shown: it copies the fields of a request, synchronously, and trips over some of them. */
export function withHeaders(
  request: IncomingMessage,
  headers: Record<string, string>,
  task: () => void,
): void {
  const original = request.headers;
  request.headers = headers;
  try {
    task();
  } finally {
    request.headers = original;
  }
}
