// Why a TLS connection could not be made, in words that say what to look at.

/** By the code of the error that node:tls gives. */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not valid yet',
  CERT_REVOKED: 'the certificate has been revoked',
  CERT_SIGNATURE_FAILURE: 'the signature of the certificate is wrong',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown authority: the certificate is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown authority: the chain ends in one that is not trusted (tls.ca)',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown authority, or an incomplete chain',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown authority, or an incomplete chain',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown authority, or an incomplete chain',
  INVALID_PURPOSE: 'the certificate is not for servers',
};

/** Of connections that had not shaken hands yet: the same code means something else later. */
const endedHandshake = new WeakSet<Error>();

/** Every error of a connection to a server that has not shaken hands comes here before `tlsFailure` is asked about it. */
export function noteEndOfHandshake(error: Error): void {
  endedHandshake.add(error);
}

/** Null: it is no failure of TLS. */
export function tlsFailure(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  const code = String(error.code);
  const { reason = '' } = error as { readonly reason?: unknown };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `the certificate is for another name: ${String(reason).slice(0, 200)}`;
  const known = REASONS[code];
  if (known !== undefined) return known;
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return `the handshake failed: ${String(reason) === '' ? code : reason}`;
  const { syscall } = error as NodeJS.ErrnoException;
  if ((code === 'ECONNRESET' || code === 'EPIPE') && syscall !== undefined && syscall !== 'connect')
    return endedHandshake.has(error) ? 'the handshake failed: the server reset the connection' : null;
  // said by node:tls of a connection that ended before the handshake did
  if (code === 'ECONNRESET' && error.message.includes('secure TLS'))
    return 'the handshake failed: the server closed the connection';
  return null;
}
