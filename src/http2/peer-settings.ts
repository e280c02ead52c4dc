// What the peer's SETTINGS say (RFC 9113 section 6.5.2), as far as it concerns who sends to it.

import { ErrorCode, Setting, WINDOW_FIRST, WINDOW_MAX } from './codes.ts';

const FRAME_BYTES_LEAST = 16_384;
const FRAME_BYTES_MOST = 2 ** 24 - 1;
export const SETTING_BYTES = 6;

export class PeerSettings {
  initialWindow = WINDOW_FIRST;
  headerTableBytes = 4096;
  /** Streams of ours at once. */
  streamsMax = Number.POSITIVE_INFINITY;
  /** Of a client: it takes pushed streams. A server may not say so. */
  mayPush = false;
  /** Of a server: it takes WebSockets over a stream (RFC 8441). */
  takesSockets = false;

  /** Takes them over from bytes[begin, end). Returns 0, or the error that the connection ends with. */
  apply(bytes: Buffer, begin: number, end: number): ErrorCode {
    for (let at = begin; at < end; at += SETTING_BYTES) {
      const code = this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
      if (code !== ErrorCode.noError) return code;
    }
    return ErrorCode.noError;
  }

  #set(setting: number, value: number): ErrorCode {
    switch (setting) {
      case Setting.headerTableSize:
        this.headerTableBytes = value;
        break;
      case Setting.initialWindowSize:
        if (value > WINDOW_MAX) return ErrorCode.flowControlError;
        this.initialWindow = value;
        break;
      case Setting.maxFrameSize:
        if (value < FRAME_BYTES_LEAST || value > FRAME_BYTES_MOST) return ErrorCode.protocolError;
        break;
      case Setting.maxConcurrentStreams:
        this.streamsMax = value;
        break;
      case Setting.enablePush:
        if (value > 1) return ErrorCode.protocolError;
        this.mayPush = value === 1;
        break;
      case Setting.enableConnectProtocol:
        // once said it stands (RFC 8441 section 3)
        if (value > 1 || (value === 0 && this.takesSockets)) return ErrorCode.protocolError;
        this.takesSockets = value === 1;
        break;
      default:
      // of no concern, or unknown
    }
    return ErrorCode.noError;
  }
}
