// Fields behind a body, and what holds for those of requests and responses alike.

import type { HeaderField } from './header-field.ts';
import type { FieldSink } from './hpack-decoder.ts';

/** They belong to one connection of HTTP/1 (RFC 9113 section 8.2.2). */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings'],
]);

/** A content-length as HTTP/1's parser takes it (http1/framing.ts): one that it alone saw would be nobody's to hold a body to. */
export const LENGTH_PATTERN = /^\d{1,16}$/;

/** No pseudo-fields are among them. */
export class TrailerFields implements FieldSink {
  fault = '';
  /** `[name, value, ...]` */
  fields: string[] = [];

  begin(): void {
    this.fault = '';
    this.fields = [];
  }

  onField({ name, value, isValid, isPseudo }: HeaderField): void {
    if (!isValid || isPseudo || CONNECTION_FIELDS.has(name)) this.fault = 'a trailer that may not be one';
    else this.fields.push(name, value);
  }
}

/** What is decoded to keep the tables in step, and no more. */
export const NO_FIELDS: FieldSink = { onField: () => undefined };
