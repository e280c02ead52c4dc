// The frames that carry neither fields nor data: what each changes, and what it costs the peer to send too many.

import type { AbuseKind } from './abuse.ts';
import { ErrorCode, Flag, FrameType } from './codes.ts';
import type { FrameWriter } from './frame-writer.ts';
import { PeerSettings, SETTING_BYTES } from './peer-settings.ts';
import { urgencyOf } from './request-fields.ts';
import type { Sender } from './sender.ts';
import type { Http2Stream } from './stream.ts';

const PING_BYTES = 8;
/** WINDOW_UPDATEs that each DATA frame of ours may well lead to: some clients open both windows for every 4 KiB. */
const UPDATES_PER_FRAME = 16;
/** So many more at the beginning. */
const UPDATES_FIRST = 64;
/** Of ours. */
export const PING_PAYLOAD: Buffer = Buffer.from('holdfast');

/** The connection as its control frames see it. */
interface ControlledConnection {
  readonly streams: ReadonlyMap<number, Http2Stream>;
  readonly lastId: number;
  /** Streams at once that the peer may open. */
  readonly limits: { readonly streams: number };
  readonly sender: Sender;
  readonly writer: FrameWriter;
  readonly user: { onPong(): void };
  onSettings(): void;
  onPeerGoaway(lastId: number): void;
  countFrame(kind: AbuseKind): boolean;
  fail(code: ErrorCode, detail: string): void;
  endStream(stream: Http2Stream, code: ErrorCode, fault: string): void;
  onPeerReset(stream: Http2Stream, code: number): void;
}

export class ControlFrames {
  readonly settings = new PeerSettings();
  /** The peer's first SETTINGS have come. */
  isSpoken = false;
  /** It has answered ours. */
  isHeard = false;
  readonly #connection: ControlledConnection;
  /** Of streams that the peer has yet to open, by their number: what the last PRIORITY_UPDATE said. */
  readonly #urgencies = new Map<number, number>();
  /** WINDOW_UPDATEs so far. */
  #updates = 0;

  constructor(connection: ControlledConnection) {
    this.#connection = connection;
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, begin: number, end: number): void {
    const length = end - begin;
    switch (type) {
      case FrameType.settings:
        this.#onSettings(flags, streamId, bytes, begin, end);
        break;
      case FrameType.ping:
        this.#onPing(flags, streamId, bytes, begin, length);
        break;
      case FrameType.windowUpdate:
        this.#onWindowUpdate(streamId, bytes, begin, length);
        break;
      case FrameType.rstStream:
        this.#onRstStream(streamId, bytes, begin, length);
        break;
      case FrameType.priority:
        this.#onPriority(streamId, bytes, begin, length);
        break;
      case FrameType.priorityUpdate:
        this.#onPriorityUpdate(streamId, bytes, begin, end);
        break;
      case FrameType.goaway:
        this.#onGoaway(streamId, bytes, begin, length);
        break;
      case FrameType.pushPromise:
        this.#fail('PUSH_PROMISE, which nobody has allowed');
        break;
      default:
        this.#connection.countFrame('frames');
    }
  }

  #fail(detail: string, code: ErrorCode = ErrorCode.protocolError): void {
    this.#connection.fail(code, detail);
  }

  #failSize(name: string): void {
    this.#fail(`${name} of a wrong length`, ErrorCode.frameSizeError);
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, begin: number, end: number): void {
    const isAck = (flags & Flag.ack) !== 0;
    const length = end - begin;
    if (streamId !== 0) this.#fail('SETTINGS on a stream');
    else if (isAck ? length !== 0 : length % SETTING_BYTES !== 0) this.#failSize('SETTINGS');
    else if (isAck) {
      this.isHeard = true;
      if (!this.isSpoken) this.#fail('a preface without SETTINGS');
      else this.#connection.countFrame('settings');
    } else if (!(this.isSpoken && this.#connection.countFrame('settings'))) this.#apply(bytes, begin, end);
  }

  #apply(bytes: Buffer, begin: number, end: number): void {
    const { settings } = this;
    const { sender, streams, writer } = this.#connection;
    const before = settings.initialWindow;
    const code = settings.apply(bytes, begin, end);
    if (code !== ErrorCode.noError) {
      this.#fail('SETTINGS with a value that may not be', code);
      return;
    }
    this.isSpoken = true;
    sender.encoder.resize(settings.headerTableBytes);
    for (const stream of streams.values()) {
      if (sender.openStream(stream, settings.initialWindow - before)) continue;
      this.#fail('SETTINGS that make a window too large', ErrorCode.flowControlError);
      return;
    }
    writer.settingsAck();
    this.#connection.onSettings();
    sender.pump();
  }

  #onPing(flags: number, streamId: number, bytes: Buffer, begin: number, length: number): void {
    if (streamId !== 0) this.#fail('PING on a stream');
    else if (length !== PING_BYTES) this.#failSize('PING');
    else if (this.#connection.countFrame('ping')) return;
    else if ((flags & Flag.ack) !== 0) this.#connection.user.onPong();
    else this.#connection.writer.ping(Flag.ack, bytes, begin);
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, begin: number, length: number): void {
    const { sender, streams, lastId } = this.#connection;
    if (length !== 4) {
      this.#failSize('WINDOW_UPDATE');
      return;
    }
    this.#updates += 1;
    const isEarned = this.#updates <= UPDATES_FIRST + UPDATES_PER_FRAME * sender.frames;
    if (!isEarned && this.#connection.countFrame('window_update')) return;
    const increment = bytes.readUInt32BE(begin) & 0x7fffffff;
    if (streamId > 0) this.#openStream(streams.get(streamId), streamId > lastId, increment);
    else if (increment === 0) this.#fail('a WINDOW_UPDATE of 0');
    else if (!sender.openConnection(increment))
      this.#fail('a window that is too large', ErrorCode.flowControlError);
    sender.pump();
  }

  #openStream(stream: Http2Stream | undefined, isIdle: boolean, increment: number): void {
    if (isIdle) this.#fail('WINDOW_UPDATE on an idle stream');
    if (stream === undefined) return;
    if (increment === 0) this.#connection.endStream(stream, ErrorCode.protocolError, 'a WINDOW_UPDATE of 0');
    else if (!this.#connection.sender.openStream(stream, increment))
      this.#connection.endStream(stream, ErrorCode.flowControlError, 'a window that is too large');
  }

  #onRstStream(streamId: number, bytes: Buffer, begin: number, length: number): void {
    const { streams, lastId } = this.#connection;
    const stream = streams.get(streamId);
    if (length !== 4) this.#failSize('RST_STREAM');
    else if (streamId === 0 || streamId > lastId) this.#fail('RST_STREAM on an idle stream');
    else if (stream !== undefined) this.#connection.onPeerReset(stream, bytes.readUInt32BE(begin));
    else this.#connection.countFrame('frames');
  }

  /** The priorities of old are passed over (RFC 9113 section 5.3.2). */
  #onPriority(streamId: number, bytes: Buffer, begin: number, length: number): void {
    const connection = this.#connection;
    if (streamId === 0) this.#fail('PRIORITY on no stream');
    else if (length !== 5) this.#failSize('PRIORITY');
    else if (connection.countFrame('priority')) return;
    else if ((bytes.readUInt32BE(begin) & 0x7fffffff) === streamId) {
      const stream = connection.streams.get(streamId);
      if (stream === undefined) this.#fail('a stream that depends on itself');
      else connection.endStream(stream, ErrorCode.protocolError, 'a stream that depends on itself');
    }
  }

  #onPriorityUpdate(streamId: number, bytes: Buffer, begin: number, end: number): void {
    const connection = this.#connection;
    if (streamId !== 0) this.#fail('PRIORITY_UPDATE on a stream');
    else if (end - begin < 4) this.#failSize('PRIORITY_UPDATE');
    else if (connection.countFrame('priority')) return;
    else {
      const id = bytes.readUInt32BE(begin) & 0x7fffffff;
      const stream = connection.streams.get(id);
      const urgency = urgencyOf(bytes.toString('latin1', begin + 4, end));
      if (id % 2 === 0) this.#fail('PRIORITY_UPDATE of a stream that no client opens');
      else if (stream !== undefined) stream.urgency = urgency;
      else if (id > connection.lastId) this.#keepUrgency(id, urgency);
    }
  }

  /** Of as many as may be open at once (RFC 9218 section 7.1); who has yet to hear how many those are may name more. */
  #keepUrgency(id: number, urgency: number): void {
    const { lastId, limits } = this.#connection;
    const kept = this.#urgencies;
    if (kept.size >= limits.streams) for (const each of kept.keys()) if (each <= lastId) kept.delete(each);
    if (kept.size < limits.streams || kept.has(id)) kept.set(id, urgency);
    else if (this.isHeard) this.#fail('PRIORITY_UPDATE of more streams than may be open');
  }

  /** The urgency of a stream that is opened with this one: what was said before goes first. */
  takeUrgency(id: number, urgency: number): number {
    const said = this.#urgencies.get(id);
    this.#urgencies.delete(id);
    return said ?? urgency;
  }

  #onGoaway(streamId: number, bytes: Buffer, begin: number, length: number): void {
    const connection = this.#connection;
    if (streamId !== 0) this.#fail('GOAWAY on a stream');
    else if (length < 8) this.#failSize('GOAWAY');
    else if (!connection.countFrame('frames'))
      connection.onPeerGoaway(bytes.readUInt32BE(begin) & 0x7fffffff);
  }
}
