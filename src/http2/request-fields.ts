// The fields of a request, checked as RFC 9113 section 8 asks, as a head of HTTP/1 that its parser checks further: one
// set of rules for routing, session keys and strictness, whatever the version.
//
//   :method :path :scheme :authority, fields   ->   METHOD path HTTP/1.1, host, lines, cookie, framing
//
// A request without a length gets `transfer-encoding: chunked`: it is what HTTP/1 needs to pass such a body on.

import { TARGET, TOKEN } from '../http1/bytes.ts';
import type { HeaderField } from './header-field.ts';
import type { FieldSink } from './hpack-decoder.ts';
import { CONNECTION_FIELDS, LENGTH_PATTERN } from './trailer-fields.ts';

export const URGENCY_DEFAULT = 3;

/** The urgency of RFC 9218 section 4.1: 0 to 7, the most urgent first. */
export function urgencyOf(priority: string): number {
  const match = /(?:^|,)[ \t]*u=([0-7])(?=$|[ \t,;])/.exec(priority);
  return match === null ? URGENCY_DEFAULT : Number(match[1]);
}

export class RequestFields implements FieldSink {
  /** What RFC 9113 section 8 forbids of it; '' for nothing. */
  fault = '';
  method = '';
  path = '';
  scheme = '';
  authority = '';
  /** Of an extended CONNECT (RFC 8441). */
  protocol = '';
  /** As the request says it; -1: it does not, or not in a way that HTTP/1's parser will take. */
  contentLength = -1;
  urgency = URGENCY_DEFAULT;
  #lines = '';
  #cookies = '';
  #host = '';
  #hostLines = '';
  #hasFields = false;

  begin(): void {
    this.fault = '';
    this.method = '';
    this.path = '';
    this.scheme = '';
    this.authority = '';
    this.protocol = '';
    this.contentLength = -1;
    this.urgency = URGENCY_DEFAULT;
    this.#lines = '';
    this.#cookies = '';
    this.#host = '';
    this.#hostLines = '';
    this.#hasFields = false;
  }

  onField(field: HeaderField): void {
    if (!field.isValid) this.#refuse('a field with a malformed name or value');
    else if (field.isPseudo) this.#onPseudo(field);
    else this.#onRegular(field);
  }

  #refuse(fault: string): void {
    if (this.fault === '') this.fault = fault;
  }

  #onPseudo({ name, value }: HeaderField): void {
    if (this.#hasFields) this.#refuse('a pseudo-field behind a field');
    if (value === '') this.#refuse(`an empty ${name}`);
    switch (name) {
      case ':method':
        this.method = this.#once(this.method, value);
        break;
      case ':path':
        this.path = this.#once(this.path, value);
        break;
      case ':scheme':
        this.scheme = this.#once(this.scheme, value);
        break;
      case ':authority':
        this.authority = this.#once(this.authority, value);
        break;
      case ':protocol':
        this.protocol = this.#once(this.protocol, value);
        break;
      default:
        this.#refuse('a pseudo-field that no request has');
    }
  }

  #once(before: string, value: string): string {
    if (before !== '') this.#refuse('a pseudo-field twice');
    return value;
  }

  #onRegular({ name, value, line }: HeaderField): void {
    this.#hasFields = true;
    switch (name) {
      case 'cookie':
        this.#cookies += this.#cookies === '' ? value : `; ${value}`;
        return;
      case 'host':
        this.#host = value;
        this.#hostLines += line;
        return;
      case 'te':
        if (value.toLowerCase() !== 'trailers') this.#refuse('a te other than trailers');
        break;
      case 'content-length':
        if (LENGTH_PATTERN.test(value)) this.contentLength = Number(value);
        // its server would wait for a body, and take the next request of the connection for it
        if (this.isWebSocket && this.contentLength !== 0) this.#refuse('a WebSocket with a content-length');
        break;
      case 'priority':
        this.urgency = urgencyOf(value);
        break;
      case 'sec-websocket-key':
        // of the hop behind us it is ours to make
        if (this.protocol !== '') return;
        break;
      default:
        if (CONNECTION_FIELDS.has(name)) this.#refuse('a field that belongs to a connection');
    }
    this.#lines += line;
  }

  /** An extended CONNECT for a WebSocket. */
  get isWebSocket(): boolean {
    return this.protocol === 'websocket';
  }

  /** After the last field: what its fields together break; '' for nothing. */
  check(hasBody: boolean): string {
    if (this.fault === '') this.#checkPseudo();
    const { authority, contentLength, scheme } = this;
    if (authority !== '' && this.#host !== '' && this.#host !== authority) {
      if (plainAuthority(this.#host, scheme) !== plainAuthority(authority, scheme))
        this.#refuse('a Host other than :authority');
    }
    if (!hasBody && contentLength > 0) this.#refuse('a content-length without a body');
    return this.fault;
  }

  #checkPseudo(): void {
    const { method, path, scheme, protocol } = this;
    const isConnect = method === 'CONNECT';
    if (!isToken(method)) this.#refuse('a missing or malformed :method');
    else if (protocol !== '' && !isConnect) this.#refuse('a :protocol without CONNECT');
    else if (isConnect && protocol === '') {
      if (path !== '' || scheme !== '' || this.authority === '')
        this.#refuse('a CONNECT with other than an :authority');
    } else if (scheme !== 'http' && scheme !== 'https') this.#refuse('a missing or unknown :scheme');
    else if (protocol !== '' && this.authority === '') this.#refuse('an extended CONNECT without :authority');
    else if (!isPath(path) && !(path === '*' && method === 'OPTIONS'))
      this.#refuse('a missing or malformed :path');
  }

  /** The head as HTTP/1 has it. `socketKey`: the Sec-WebSocket-Key of a WebSocket. */
  headText(hasBody: boolean, socketKey: string): string {
    const { method, path, authority } = this;
    const isSocket = this.protocol !== '';
    const target = method === 'CONNECT' && !isSocket ? authority : path;
    let text = `${isSocket ? 'GET' : method} ${target} HTTP/1.1\r\n`;
    text += authority === '' ? this.#hostLines : `host: ${authority}\r\n`;
    text += this.#lines;
    if (this.#cookies !== '') text += `cookie: ${this.#cookies}\r\n`;
    if (isSocket)
      text += `connection: upgrade\r\nupgrade: ${this.protocol}\r\nsec-websocket-key: ${socketKey}\r\n`;
    else if (hasBody && this.contentLength < 0 && !/^content-length:/m.test(this.#lines))
      text += 'transfer-encoding: chunked\r\n';
    return `${text}\r\n`;
  }
}

/** Written one way, whatever way it came (RFC 3986 section 6.2.3): RFC 9113 section 8.3.1 has proxies compare it so. */
function plainAuthority(authority: string, scheme: string): string {
  return authority.toLowerCase().replace(scheme === 'https' ? /:(?:443)?$/ : /:(?:80)?$/, '');
}

function isToken(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (TOKEN[text.charCodeAt(at)] !== 1) return false;
  return text !== '';
}

function isPath(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) if (TARGET[text.charCodeAt(at)] !== 1) return false;
  return text.startsWith('/');
}
