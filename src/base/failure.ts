// The closed list of what can go wrong with one exchange: kind, whose side, whether another attempt may help.
// Only the exchange turns a failure into a status line.

export type FailureSide = 'client' | 'server' | 'self';

interface FailureFacts {
  readonly side: FailureSide;
  /** Reply status; 0 = no reply possible or wanted, the connection just ends. */
  readonly status: number;
  /** Another attempt on another server may succeed, provided nothing reached the client. */
  readonly mayRetry: boolean;
  readonly text: string;
}

/** Kinds are also the values of `x-holdfast-error` and of the `reason` label of holdfast_rejected_requests_total. */
export const FAILURES = {
  'bad-request': { side: 'client', status: 400, mayRetry: false, text: 'the request is not valid HTTP/1.1' },
  'no-route': { side: 'client', status: 404, mayRetry: false, text: 'no route matches this host and path' },
  'certificate-required': {
    side: 'client',
    status: 403,
    mayRetry: false,
    text: 'this needs a certificate of the client, and there is none, or none that is good',
  },
  misdirected: {
    side: 'client',
    status: 421,
    mayRetry: false,
    text: 'this needs a certificate of the client, which it may show on a connection for this host',
  },
  'request-timeout': {
    side: 'client',
    status: 408,
    mayRetry: false,
    text: 'the request did not arrive in time',
  },
  'body-too-large': {
    side: 'client',
    status: 413,
    mayRetry: false,
    text: 'the request body is larger than allowed',
  },
  'target-too-long': {
    side: 'client',
    status: 414,
    mayRetry: false,
    text: 'the request target is longer than allowed',
  },
  'expectation-failed': {
    side: 'client',
    status: 417,
    mayRetry: false,
    text: 'only Expect: 100-continue is supported',
  },
  'too-many-requests': {
    side: 'client',
    status: 429,
    mayRetry: false,
    text: 'too many requests from this client',
  },
  'head-too-large': {
    side: 'client',
    status: 431,
    mayRetry: false,
    text: 'the request header is larger than allowed',
  },
  'not-implemented': {
    side: 'client',
    status: 501,
    mayRetry: false,
    text: 'this method or transfer coding is not supported',
  },
  'client-too-slow': {
    side: 'client',
    status: 0,
    mayRetry: false,
    text: 'the client takes the response too slowly',
  },
  'bad-proxy-header': {
    side: 'client',
    status: 0,
    mayRetry: false,
    text: 'the PROXY header is missing, malformed, late, or from a peer that is not trusted',
  },
  'client-aborted': { side: 'client', status: 0, mayRetry: false, text: 'the client went away' },
  'deadline-exceeded': {
    side: 'client',
    status: 504,
    mayRetry: false,
    text: 'the deadline that the client gave has passed',
  },
  'connect-failed': { side: 'server', status: 502, mayRetry: true, text: 'the server could not be reached' },
  'connect-timeout': {
    side: 'server',
    status: 504,
    mayRetry: true,
    text: 'the server did not accept the connection in time',
  },
  'tls-failed': {
    side: 'server',
    status: 502,
    mayRetry: true,
    text: 'there is no TLS connection to the server',
  },
  'server-closed': {
    side: 'server',
    status: 502,
    mayRetry: true,
    text: 'the server closed the connection before it answered',
  },
  'stream-refused': {
    side: 'server',
    status: 503,
    mayRetry: true,
    text: 'the server did not take the request',
  },
  'bad-response': {
    side: 'server',
    status: 502,
    mayRetry: false,
    text: 'the server sent an invalid response',
  },
  'trailers-too-large': {
    side: 'server',
    status: 502,
    mayRetry: false,
    text: 'the trailers of the response are larger than allowed',
  },
  'response-truncated': {
    side: 'server',
    status: 0,
    mayRetry: false,
    text: 'the server ended its response early',
  },
  'response-timeout': {
    side: 'server',
    status: 504,
    mayRetry: true,
    text: 'the server did not answer in time',
  },
  'no-server': {
    side: 'self',
    status: 503,
    mayRetry: false,
    text: 'no server of the pool can take the request',
  },
  'home-down': {
    side: 'self',
    status: 503,
    mayRetry: false,
    text: 'the server that holds this session is down',
  },
  'session-lost': {
    side: 'self',
    status: 404,
    mayRetry: false,
    text: 'the server that held this session is gone, begin another',
  },
  'queue-full': {
    side: 'self',
    status: 503,
    mayRetry: false,
    text: 'all servers are busy and the queue is full',
  },
  'queue-timeout': { side: 'self', status: 503, mayRetry: false, text: 'all servers stayed busy' },
  'loop-detected': {
    side: 'self',
    status: 508,
    mayRetry: false,
    text: 'the request has come by here several times already',
  },
  'max-forwards': {
    side: 'client',
    status: 200,
    mayRetry: false,
    text: 'the request was to be forwarded no further',
  },
  redirected: {
    side: 'client',
    status: 308,
    mayRetry: false,
    text: 'this is served over https only',
  },
  'acme-challenge': {
    side: 'client',
    status: 200,
    mayRetry: false,
    text: 'what an authority asked, to see that a certificate is due to us',
  },
  'out-of-resources': {
    side: 'self',
    status: 503,
    mayRetry: false,
    text: 'this machine has no resources left for a connection to a server',
  },
  'too-many-connections': { side: 'self', status: 503, mayRetry: false, text: 'too many connections' },
  stopping: {
    side: 'self',
    status: 503,
    mayRetry: false,
    text: 'this balancer ends, and the request was still under way when its grace was over',
  },
} as const satisfies Record<string, FailureFacts>;

export type FailureKind = keyof typeof FAILURES;
/** Stable index of each kind, for counters in shared memory. */
export const FAILURE_KINDS = Object.keys(FAILURES) as readonly FailureKind[];

/** What a client does not see as an error: it has gone itself, or has got what it should. */
const NO_ERRORS: ReadonlySet<FailureKind> = new Set(['client-aborted', 'redirected', 'max-forwards']);
/** Indices of the kinds that are errors as clients see them. */
export const ERROR_KINDS: readonly number[] = FAILURE_KINDS.flatMap((kind, index) =>
  NO_ERRORS.has(kind) ? [] : [index],
);

/** Retry reasons, the `reason` label of holdfast_retries_total. */
export const RETRY_REASONS = [
  'connect-failed',
  'connect-timeout',
  'tls-failed',
  'server-closed',
  'stream-refused',
  'response-timeout',
  'status',
] as const;
export type RetryReason = (typeof RETRY_REASONS)[number];
