// Memory that sockets read into, without an allocation per read.
//
// All upstream connections of a thread read into one shared buffer: what is in it is valid only until the event
// handler returns, so whoever keeps bytes copies them. Bulk data is passed on without a copy by giving a connection
// a buffer of its own for as long as a long body runs; see UpstreamConnection.

const READ_BYTES = 64 * 1024;
const SPARE_MAX = 64;

export class ReadBuffers {
  readonly shared: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
  }

  /** Only when nobody, the kernel's write queue included, refers to it any more. */
  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(buffer);
  }
}
