// The name that a client asks for (SNI, RFC 6066 section 3), read from its first message before OpenSSL has it: a connection
// begins with the certificates of that name. Node can change them later, but then to one with one kind of key. And the tickets
// of sessions that it would go on with.
//
//   record      22 | version 2 | <2 fragment>                 a message may be spread over several
//   message     1 | <3 hello>
//   hello       version 2 | random 32 | <1 session id> | <2 cipher suites> | <1 compression> | <2 extensions>
//   extension   type 2 | <2 data>                             server_name: type 0, data <2 list> of: 0 | <2 name>
//                                                             session_ticket: type 35, data ticket (TLS 1.2, RFC 5077)
//                                                             pre_shared_key: type 41, data <2 list> of: <2 ticket> | age 4
//
// <n x> is x behind its length of n bytes. Whatever is wrong is OpenSSL's to refuse; here it means that there is no name.

const RECORD_HEAD_BYTES = 5;
const HANDSHAKE_RECORD = 22;
const MESSAGE_HEAD_BYTES = 4;
const CLIENT_HELLO = 1;
const BEFORE_SESSION_ID_BYTES = 34;
const SERVER_NAME = 0;
const SESSION_TICKET = 35;
const PRE_SHARED_KEY = 41;
const HOST_NAME = 0;
/** A first message that is longer, or in more pieces, is none that a client means: it has no name for us. */
const HELLO_BYTES_MAX = 16 * 1024;
const RECORDS_MAX = 8;
const EMPTY = Buffer.alloc(0);

/** What has been read of bytes; beyond their end there are zeros. */
class Cursor {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  number(width: number): number {
    const begin = this.#at;
    this.#at += width;
    return this.#at > this.#bytes.length ? 0 : this.#bytes.readUIntBE(begin, width);
  }

  /** What stands behind its length, or as much of it as there is. */
  vector(width: number): Buffer {
    const length = this.number(width);
    const begin = this.#at;
    this.#at += length;
    return this.#bytes.subarray(begin, this.#at);
  }
}

/** '' where there is none; null: more bytes have to come before that can be said. Never throws. */
export function serverNameIn(received: Buffer): string | null {
  const message = firstMessage(received);
  if (message === null) return null;
  for (const [type, data] of extensionsOf(message)) if (type === SERVER_NAME) return firstName(data);
  return '';
}

/** None as long as the message is not whole. Never throws. */
export function* ticketsIn(received: Buffer): Generator<Buffer> {
  for (const [type, data] of extensionsOf(firstMessage(received) ?? EMPTY)) {
    if (type === SESSION_TICKET) yield data;
    if (type !== PRE_SHARED_KEY) continue;
    const list = new Cursor(new Cursor(data).vector(2));
    while (!list.isAtEnd) {
      yield list.vector(2);
      list.number(4);
    }
  }
}

function* extensionsOf(message: Buffer): Generator<readonly [number, Buffer]> {
  if (message[0] !== CLIENT_HELLO) return;
  const hello = new Cursor(message, MESSAGE_HEAD_BYTES + BEFORE_SESSION_ID_BYTES);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  const extensions = new Cursor(hello.vector(2));
  while (!extensions.isAtEnd) yield [extensions.number(2), extensions.vector(2)];
}

function firstName(data: Buffer): string {
  const list = new Cursor(new Cursor(data).vector(2));
  return list.number(1) === HOST_NAME ? list.vector(2).toString('latin1') : '';
}

/** With its head. Null: it is not whole yet; empty: there is none, or none that is meant. */
function firstMessage(received: Buffer): Buffer | null {
  let message: Buffer = EMPTY;
  let begin = 0;
  for (let records = 0; records < RECORDS_MAX; records += 1) {
    if (begin < received.length && received[begin] !== HANDSHAKE_RECORD) return EMPTY;
    if (begin + RECORD_HEAD_BYTES > received.length) return null;
    const end = begin + RECORD_HEAD_BYTES + received.readUInt16BE(begin + 3);
    if (end > HELLO_BYTES_MAX) return EMPTY;
    if (end > received.length) return null;
    const fragment = received.subarray(begin + RECORD_HEAD_BYTES, end);
    // no copy of the usual one: it would come from the pool that small buffers share, and keep others' memory in use
    message = message.length === 0 ? fragment : Buffer.concat([message, fragment]);
    begin = end;
    if (message.length < MESSAGE_HEAD_BYTES) continue;
    const bytes = MESSAGE_HEAD_BYTES + message.readUIntBE(1, 3);
    if (message.length >= bytes) return message.subarray(0, bytes);
  }
  return EMPTY;
}
