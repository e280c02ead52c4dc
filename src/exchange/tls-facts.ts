// What TLS told of a client's connection: for servers, and for the access log.

/** What became of asking the client for a certificate. */
export interface ClientCertificate {
  /** `good`, `none` where it showed none, else the reason as OpenSSL names it: CERT_HAS_EXPIRED, CERT_REVOKED ... */
  readonly verify: string;
  /** Distinguished name; '' where there is none. */
  readonly subject: string;
  /** SHA-256 of the certificate, 64 hexadecimal digits; '' where there is none. */
  readonly fingerprint: string;
}

export interface TlsFacts {
  /** `TLSv1.2` or `TLSv1.3`. */
  readonly version: string;
  /** OpenSSL's name of the cipher suite. */
  readonly cipher: string;
  /** The name that the client asked for (SNI); '' for none. */
  readonly serverName: string;
  readonly isResumed: boolean;
  /** null: none was asked for. */
  readonly client: ClientCertificate | null;
}

const SUBJECT_CHARS_MAX = 1024;

/**
 * Lines that tell servers of the client's certificate, '' where none was asked for. Their names are of the x-forwarded
 * family: a client's own are dropped.
 */
export function clientCertificateLines(facts: TlsFacts | null): string {
  if (facts === null || facts.client === null) return '';
  const { verify, subject, fingerprint } = facts.client;
  const verified = `x-forwarded-client-verify: ${verify}\r\n`;
  if (fingerprint === '') return verified;
  return `${verified}x-forwarded-client-subject: ${fieldText(subject)}\r\nx-forwarded-client-fingerprint: ${fingerprint}\r\n`;
}

/** The client chooses what is in its certificate: what may not stand in a field is percent-encoded, and so is `%`. */
function fieldText(text: string): string {
  return encodeURI(text.slice(0, SUBJECT_CHARS_MAX).toWellFormed())
    .replaceAll('%20', ' ')
    .replaceAll('%22', '"')
    .trim();
}

/** As it stands in a line of the access log, with a comma before it. */
export function loggedTls(facts: TlsFacts | null): string {
  if (facts === null) return '';
  const { version, cipher, serverName, isResumed: resumed, client } = facts;
  return `,"tls":${JSON.stringify({ version, cipher, serverName, resumed, ...(client === null ? {} : { client }) })}`;
}
