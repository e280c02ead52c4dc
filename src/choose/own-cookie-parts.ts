// What all layouts of the balancer's own cookie have in common.

export const RID_AT = 1;
export const RID_BYTES = 16;
/** Of what names a server in a cookie. */
export const REFERENCE_BYTES = 7;
const COOKIE_BYTES_MAX = 60;

/** A cookie taken apart, or being put together: reused. */
export class OwnCookie {
  readonly bytes: Buffer = Buffer.alloc(COOKIE_BYTES_MAX);
  /** Seconds since the Unix epoch. */
  issuedSeconds = 0;
  /** When it was last written, in the same seconds; -1 for a former layout, which does not say. */
  renewedSeconds = 0;
  /** Index of the server it names, -1 when that server is not of the pool any more. */
  homeIndex = -1;
}
