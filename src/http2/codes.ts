// The numbers of HTTP/2 (RFC 9113): frame types, flags, errors, settings.

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
  priorityUpdate: 16, // RFC 9218
} as const;

export const Flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const ErrorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8, // RFC 8441
  noPriorities: 9, // RFC 9218
} as const;

/** What a client sends first, before its SETTINGS (RFC 9113 section 3.4). */
export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export const FRAME_HEAD_BYTES = 9;
/** Largest payload, ours and the peer's: we never announce more, and never use more. */
export const FRAME_BYTES_MAX = 16_384;
/** Data of one frame: with its head, four of them fill 64 KiB. */
export const DATA_BYTES_MAX = FRAME_BYTES_MAX - FRAME_HEAD_BYTES;
/** Size of a window that nobody has changed. */
export const WINDOW_FIRST = 65_535;
export const WINDOW_MAX = 2 ** 31 - 1;
export const STREAM_ID_MAX = 2 ** 31 - 1;
