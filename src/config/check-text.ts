// The forms of text values. Each check returns null for good text, or the refusal that continues `"key" …`.

const TEXT_LENGTH_MAX = 1_024;
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const NAME = /^(\[[0-9A-Fa-f:.]{2,45}\]:\d{1,5}|[A-Za-z0-9_][A-Za-z0-9._:-]{0,127})$/;

/** RFC 6265: a cookie name is a token. */
export function checkCookieName(value: string): string | null {
  return TOKEN.test(value) && value.length <= 128
    ? null
    : `must be a cookie name (letters, digits, - _ . and the like), not ${quote(value)}`;
}

/** RFC 9110: a field name is a token. Framing and connection fields identify nobody. */
export function checkHeaderName(value: string): string | null {
  if (!TOKEN.test(value) || value.length > 128)
    return `must be a header name (letters, digits, -), not ${quote(value)}`;
  const lower = value.toLowerCase();
  if (lower === 'cookie' || lower === 'set-cookie')
    return `must not be ${value}, name the cookie with "cookie" instead`;
  return ['host', 'connection', 'content-length', 'transfer-encoding', 'upgrade', 'te', 'trailer'].includes(
    lower,
  )
    ? `must not be ${value}, which does not identify a session`
    : null;
}

/** Pool and server names stand in URLs, commands (POOL/SERVER) and metric labels; `[::1]:80` is a name by default. */
export function checkName(value: string): string | null {
  return NAME.test(value)
    ? null
    : `must be a name of letters, digits and . _ : - (at most 128), not ${quote(value)}`;
}

/** Bearer tokens and secrets: visible ASCII, nothing a header could not carry. */
export function checkToken(value: string): string | null {
  return /^[\x21-\x7e]*$/.test(value) && value.length <= TEXT_LENGTH_MAX
    ? null
    : `must be at most ${TEXT_LENGTH_MAX} visible ASCII characters without spaces`;
}

/** What a cookie's value may hold. */
export function checkSeparator(value: string): string | null {
  return /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,8}$/.test(value)
    ? null
    : `must be one to eight characters that a cookie may hold, not ${quote(value)}`;
}

export function checkCookiePath(value: string): string | null {
  return /^\/[\x21-\x3a\x3c-\x7e]*$/.test(value) && value.length <= TEXT_LENGTH_MAX
    ? null
    : `must begin with "/" and hold no space or ";", not ${quote(value)}`;
}

export function checkDomain(value: string): string | null {
  return /^\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(value) && value.length <= 253
    ? null
    : `must be a domain such as example.com, not ${quote(value)}`;
}

export function checkHealthPath(value: string): string | null {
  return /^\/[\x21-\x22\x24-\x7e]*$/.test(value) && value.length <= TEXT_LENGTH_MAX
    ? null
    : `must be a path such as /healthz, without spaces or "#", not ${quote(value)}`;
}

/** What a Host field may say: a name or an address, with or without a port. */
export function checkHealthHost(value: string): string | null {
  return /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/.test(value) && value.length <= 260
    ? null
    : `must be a host such as shop.example.com or shop.example.com:8080, not ${quote(value)}`;
}

export function checkPath(value: string): string | null {
  return value === '' || value.includes('\0') ? 'must be the path of a file' : null;
}

/** Permissions as chmod takes them. */
export function checkFileMode(value: string): string | null {
  return /^0?[0-7]{3}$/.test(value) ? null : `must be permissions such as "0660", not ${quote(value)}`;
}

export function checkHeaderValue(value: string): string | null {
  return /^[\x20-\x7e]*$/.test(value) && value.length <= TEXT_LENGTH_MAX
    ? null
    : `must be at most ${TEXT_LENGTH_MAX} visible ASCII characters, not ${quote(value)}`;
}

/** A service of gRPC, its package before it. */
export function checkGrpcService(value: string): string | null {
  return /^[A-Za-z0-9_.]{0,120}$/.test(value)
    ? null
    : `must be the name of a service, such as shop.v1.Cart, or "" for the server as a whole, not ${quote(value)}`;
}

export function checkBodyText(value: string): string | null {
  return value !== '' && value.length <= TEXT_LENGTH_MAX
    ? null
    : `must be from 1 to ${TEXT_LENGTH_MAX} characters, leave the key out for any body`;
}

/** The name in a Via field (RFC 9110 section 7.6.3): a token that stands for us. */
export function checkViaName(value: string): string | null {
  return TOKEN.test(value) && value.length <= 64
    ? null
    : `must be off or a name of letters, digits, - _ . and the like, not ${quote(value)}`;
}

/** Routes match the path only, and match it as it was sent. */
export function checkRoutePath(value: string): string | null {
  if (!value.startsWith('/')) return `must begin with "/", not ${quote(value)}`;
  if (/[*]/.test(value))
    return `is always a prefix, write ${quote(value.replace(/\/?\*+$/, '') || '/')} without "*"`;
  if (/[?#]/.test(value)) return `matches the path only, without "?" or "#", not ${quote(value)}`;
  return /^[\x21-\x7e]*$/.test(value) && value.length <= TEXT_LENGTH_MAX
    ? null
    : `must be visible ASCII, percent-encoded, not ${quote(value)}`;
}

/** Of a parameter in a query or a path segment, compared as it is written. */
export function checkQueryName(value: string): string | null {
  return /^[\x21-\x7e]+$/.test(value) && !/[&=;/?#]/.test(value) && value.length <= 128
    ? null
    : `must be the name of a parameter, without & = ; / ? and #, not ${quote(value)}`;
}

export function checkSegmentPattern(value: string): string | null {
  const isPattern = /^(\/(\*|[^*/]+))+$/.test(value) && /^[\x21-\x7e]+$/.test(value) && !/[;?#]/.test(value);
  return isPattern && value.includes('*') && value.length <= TEXT_LENGTH_MAX
    ? null
    : `must be a path with "*" for the segment that names the session, such as /rooms/*, not ${quote(value)}`;
}

/** A name to look up; SRV names begin with underscores. */
export function checkDnsName(value: string): string | null {
  return /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$/.test(value) && value.length <= 253 && /[A-Za-z]/.test(value)
    ? null
    : `must be a DNS name such as shop.internal, not ${quote(value)}`;
}

/** A host name, an IP address, or `*.` and a host name. */
export function checkHostPattern(value: string): string | null {
  if (value === '*') return 'must not be "*", leave the key out for any host';
  if (/^\[[0-9A-Fa-f:.]+\]$/.test(value)) return null;
  if (/:\d+$/.test(value)) return `takes no port, it is ignored in requests; not ${quote(value)}`;
  const rest = value.startsWith('*.') ? value.slice(2) : value;
  if (rest.includes('*')) return `takes one wildcard, at the front (*.example.com), not ${quote(value)}`;
  const isHost =
    /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/.test(rest);
  return isHost && value.length <= 253 ? null : `must be a host name, not ${quote(value)}`;
}

/** One address, as `mailto:` takes it. */
export function checkEmail(value: string): string | null {
  return /^[A-Za-z0-9!#$%&'*+/=^_`{|}~.-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$/.test(value) &&
    value.length <= 254
    ? null
    : `must be an e-mail address such as ops@example.com, not ${quote(value)}`;
}

/** RFC 8555 section 6.1: an authority is spoken to over https alone. */
export function checkDirectory(value: string): string | null {
  const isHttps = URL.canParse(value) && new URL(value).protocol === 'https:';
  return isHttps && value.length <= TEXT_LENGTH_MAX
    ? null
    : `must be the https:// URL of an authority's directory, not ${quote(value)}`;
}

function quote(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
}
