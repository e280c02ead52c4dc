// The keys of a listener's `http2`: how much a client may ask of one connection.

import { formatDuration, parseDuration } from '../base/units.ts';
import { integer, leaf, shownValue, size } from './leaf.ts';
import { key, type Leaf, mapping } from './table.ts';

const KIB = 1_024;
const MIB = 1_024 * KIB;
const COUNT_MAX = 1_000_000;
const WITHIN_MS_MAX = 3_600_000;

/** So many within a time, as `200/10s`. */
export interface Events {
  readonly count: number;
  readonly withinMs: number;
}

function events(): Leaf<string, Events, ''> {
  return leaf(
    {
      kind: 'events',
      type: 'string',
      pattern: '^\\d+/(\\d+(\\.\\d+)?(ms|s|m|h))+$',
      range: 'such as 200/10s',
    },
    (written) => {
      const [, count = '', time = ''] = /^(\d{1,7})\/(\S+)$/.exec(String(written)) ?? [];
      const withinMs = parseDuration(time);
      const isInside = Number(count) >= 1 && Number(count) <= COUNT_MAX;
      if (withinMs === null || withinMs < 1 || withinMs > WITHIN_MS_MAX || !isInside)
        return {
          refused: `must be a number of events within a time, such as 200/10s, not ${shownValue(written)}`,
        };
      return { value: { count: Number(count), withinMs } };
    },
    ({ count, withinMs }) => `${count}/${formatDuration(withinMs)}`,
  );
}

export const http2 = mapping({
  streams: key(integer(1, 10_000), 100, 'most requests of a connection at once'),
  window: key(
    size(16 * KIB, 64 * MIB),
    '1MiB',
    'most of a request body that may wait for its server; a stream begins with less, and gets more while its server takes it',
  ),
  connectionWindow: key(
    size(64 * KIB, 1_024 * MIB),
    '16MiB',
    'the same of all requests of a connection together: what a client can make the balancer keep for it',
  ),
  headerBytes: key(
    size(KIB, MIB),
    '32KiB',
    'most header fields of a request, decoded, each counted with 32 bytes more; `limits.headerBytes` and `limits.headerCount` hold as well',
  ),
  resets: key(
    events(),
    '200/10s',
    'most requests that a client may take back, or make the balancer break off by what it sends; beyond it the connection ends: of those taken back it takes no more requests first, and ends with once more as many',
  ),
  frames: key(
    events(),
    '1000/1s',
    'most frames that carry nothing (SETTINGS, PING, PRIORITY, empty DATA, WINDOW_UPDATE that no data has earned); beyond it the connection ends',
  ),
});
