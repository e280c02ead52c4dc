// The fields of a response, checked as RFC 9113 section 8 asks, as a head of HTTP/1 that its parser checks further.
//
//   :status, fields   ->   HTTP/1.1 status, lines
//
// Where its body ends is the stream's to say: a length that the fields announce is held against what comes.

import type { HeaderField } from './header-field.ts';
import type { FieldSink } from './hpack-decoder.ts';
import { CONNECTION_FIELDS, LENGTH_PATTERN } from './trailer-fields.ts';

const STATUS_PATTERN = /^[1-5]\d\d$/;

export class ResponseFields implements FieldSink {
  /** What RFC 9113 section 8 forbids of it; '' for nothing. */
  fault = '';
  status = 0;
  /** As the response says it; -1: it does not, or not in a way that HTTP/1's parser will take. */
  contentLength = -1;
  #lines = '';
  #hasFields = false;

  begin(): void {
    this.fault = '';
    this.status = 0;
    this.contentLength = -1;
    this.#lines = '';
    this.#hasFields = false;
  }

  onField({ name, value, line, isValid, isPseudo }: HeaderField): void {
    if (!isValid) this.#refuse('a field with a malformed name or value');
    else if (isPseudo) this.#onPseudo(name, value);
    else {
      this.#hasFields = true;
      if (CONNECTION_FIELDS.has(name)) this.#refuse('a field that belongs to a connection');
      if (name === 'content-length' && LENGTH_PATTERN.test(value)) this.contentLength = Number(value);
      this.#lines += line;
    }
  }

  #onPseudo(name: string, value: string): void {
    if (name !== ':status') this.#refuse('a pseudo-field other than :status');
    else if (this.#hasFields || this.status !== 0) this.#refuse('a :status behind a field, or twice');
    else if (!STATUS_PATTERN.test(value)) this.#refuse('a malformed :status');
    else this.status = Number(value);
  }

  #refuse(fault: string): void {
    if (this.fault === '') this.fault = fault;
  }

  /** After the last field: what they together break; '' for nothing. */
  check(isLast: boolean): string {
    if (this.status === 0) this.#refuse('no :status');
    if (this.status === 101) this.#refuse('a status 101, which HTTP/2 does not have');
    if (this.isInterim && isLast) this.#refuse('an interim response that ends the stream');
    return this.fault;
  }

  get isInterim(): boolean {
    return this.status < 200;
  }

  /** The head as HTTP/1 has it. */
  get headText(): string {
    return `HTTP/1.1 ${this.status} \r\n${this.#lines}\r\n`;
  }
}
