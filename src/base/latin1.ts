// Bytes to text one to one, as HTTP heads want it.

/** What Buffer has at run time; `toString('latin1', ...)` comes to the same after looking up the encoding each time. */
interface Sliceable {
  latin1Slice(begin: number, end: number): string;
}

/** bytes[begin, end) as a string of code points 0 to 255. */
export function latin1(buffer: Buffer, begin: number, end: number): string {
  return (buffer as Buffer & Sliceable).latin1Slice(begin, end);
}
