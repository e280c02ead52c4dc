// What a session operation may fail with. express-session and Express hand them to the application's error handler, which
// answers with their `status`.

/** The store must be asked and does not answer. Try again; nobody is logged out. */
export class StoreAwayError extends Error {
  override readonly name = 'StoreAwayError';
  readonly code = 'ESTOREAWAY';
  readonly status = 503;
  readonly headers = { 'Retry-After': '1' };

  constructor(options?: ErrorOptions) {
    super('the session store does not answer', options);
  }
}

/** Another server has the session by now, and this change is not made. The next read brings the session here. */
export class SessionConflictError extends Error {
  override readonly name = 'SessionConflictError';
  readonly code = 'ESESSIONCONFLICT';
  readonly status = 409;

  constructor() {
    super('the session has moved to another server');
  }
}

/** The session was destroyed meanwhile and is not brought back by this change. */
export class SessionEndedError extends Error {
  override readonly name = 'SessionEndedError';
  readonly code = 'ESESSIONENDED';
  readonly status = 409;

  constructor() {
    super('the session has ended');
  }
}
