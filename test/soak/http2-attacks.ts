// What clients of HTTP/2 do to bring a server down, as bytes: each attack is a preface and what follows it on one connection.

import {
  END_HEADERS,
  END_STREAM,
  frame,
  number,
  PREFACE,
  repeat,
  request,
  Type,
} from '../support/http2-peer.ts';

export interface Attack {
  readonly name: string;
  /** Values of the client's SETTINGS. */
  readonly settings?: readonly (readonly [setting: number, value: number])[];
  /** Sent once, then `again` for as long as the connection lasts. */
  readonly once: () => Buffer;
  readonly again?: () => Buffer;
  /** The connection is kept as it is; else another follows as soon as it has been told to go. */
  readonly keeps?: boolean;
  readonly reads?: false;
}

const CANCEL = number(8);
const WAIT = '/wait';
const NOTHING = Buffer.alloc(0);
const INITIAL_WINDOW = 4;

const streams = (times: number, make: (id: number) => readonly Buffer[]): Buffer =>
  repeat(times, (index) => Buffer.concat(make(1 + 2 * index)));

/** Requests of which each is ended in a way of its own; more of them than any limit lets through. */
const ended = (name: string, make: (id: number) => readonly Buffer[]): Attack => ({
  name,
  once: () => streams(3000, make),
});
/** Frames that carry nothing. */
const flood = (name: string, one: Buffer, before: Buffer = NOTHING): Attack => ({
  name,
  once: () => before,
  again: () => repeat(2000, () => one),
});
const post = (id: number): Buffer => request(id, [], WAIT, 'POST');
/** Of one entry of 3 KB, which the rest of the block refers to, a byte for each time. */
const bomb = (): Buffer => {
  const entry = Buffer.from([0x40, 1, 0x61, 127, 128 | (2873 & 127), 2873 >> 7]);
  const all = Buffer.concat([entry, Buffer.alloc(3000, 'v'), Buffer.alloc(12_000, 0xbe)]);
  return frame(Type.headers, END_STREAM | END_HEADERS, 1, all);
};

export const ATTACKS: readonly Attack[] = [
  ended('rapid reset', (id) => [request(id, [], WAIT), frame(Type.reset, 0, id, CANCEL)]),
  ended('rapid reset of uploads', (id) => [
    post(id),
    frame(Type.data, 0, id, 'x'),
    frame(Type.reset, 0, id, CANCEL),
  ]),
  ended('made you reset: window of 0', (id) => [request(id, [], WAIT), frame(Type.window, 0, id, number(0))]),
  ended('made you reset: data too late', (id) => [request(id, [], WAIT), frame(Type.data, 0, id, 'x')]),
  ended('malformed requests', (id) => [request(id, [['connection', 'close']], WAIT)]),
  ended('more streams than allowed', (id) => [request(id, [], WAIT)]),
  {
    name: 'continuation without end',
    once: () => frame(Type.headers, END_STREAM, 1),
    again: () => repeat(500, () => frame(Type.continuation, 0, 1, 'x')),
  },
  {
    name: 'headers without end',
    once: () => frame(Type.headers, END_STREAM, 1),
    again: () => repeat(4, () => frame(Type.continuation, 0, 1, Buffer.alloc(16_000))),
  },
  { name: 'header bomb', once: bomb },
  ended('churn of the header table', (id) => [
    frame(
      Type.headers,
      END_STREAM | END_HEADERS,
      id,
      Buffer.concat([
        Buffer.from([0x82, 0x87, 0x84, 0x41, 1, 0x61]),
        repeat(60, (index) => Buffer.from([0x40, 2, 0x61 + (index % 26), 0x61 + (id % 26), 1, 0x62])),
      ]),
    ),
  ]),
  flood('SETTINGS', frame(Type.settings)),
  flood('PING', frame(Type.ping, 0, 0, Buffer.alloc(8))),
  flood('PRIORITY', frame(Type.priority, 0, 1, Buffer.alloc(5))),
  flood('WINDOW_UPDATE', frame(Type.window, 0, 0, number(1))),
  flood('empty DATA', frame(Type.data, 0, 1), post(1)),
  flood('unknown frames', frame(0xee)),
  {
    name: 'PING without reading',
    ...{ once: () => NOTHING, reads: false },
    again: () => repeat(2000, () => frame(Type.ping, 0, 0, Buffer.alloc(8))),
  },
  { name: 'requests that never end', once: () => streams(100, (id) => [post(id)]), keeps: true },
  {
    name: 'no window for what was asked',
    settings: [[INITIAL_WINDOW, 0]],
    once: () => streams(100, (id) => [request(id, [], '/large')]),
    keeps: true,
  },
  { name: 'idle', once: () => NOTHING, keeps: true },
];

/** The beginning of a connection, with the first of the attack. */
export function opening({ settings = [], once }: Attack): Buffer {
  const values = settings.map(([setting, value]) => {
    const bytes = Buffer.alloc(6);
    bytes.writeUInt16BE(setting);
    bytes.writeUInt32BE(value, 2);
    return bytes;
  });
  return Buffer.concat([Buffer.from(PREFACE), frame(Type.settings, 0, 0, Buffer.concat(values)), once()]);
}
