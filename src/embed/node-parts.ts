// Parts of bodies as node:http hands them over: each in memory of its own, which nobody reads into again.

import type { PartOwner, Sink } from '../exchange/streams.ts';

export abstract class NodeParts implements PartOwner {
  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    if (before !== '') sink.write(before, 'latin1');
    const isFlowing = sink.write(part);
    return after === '' ? isFlowing : sink.write(after, 'latin1');
  }

  copy(part: Buffer): Buffer {
    return part;
  }
}
