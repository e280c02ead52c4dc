// The largest session that fits into a cookie, byte by byte from the formats. Pure.
//
//   sealed  name=Fe26.2*1*SALT*IV*BOX*EXPIRY*SALT*MAC~2; Max-Age=1740; Path=/; HttpOnly; SameSite=Lax
//           BOX: AES-256-CBC of JSON, padded to 16, in base64url. iron-session counts the attributes too.
//   token   name=HEADER.PAYLOAD.SIGNATURE, each in base64url without padding

/** What a browser takes in one cookie, name and value together (RFC 6265bis). */
export const COOKIE_BYTES_MAX = 4096;

const SEAL = {
  name: 'sealed='.length,
  // Prefix and version, number of the password, salt (64 hexadecimal), IV of 16 bytes (22), expiry in ms, salt, MAC of 32.
  around: 'Fe26.2*1*'.length + 64 + 1 + 22 + 1 + 1 + 13 + 1 + 64 + 1 + 43 + '~2'.length,
  attributes: '; Max-Age=1740; Path=/; HttpOnly; SameSite=Lax'.length,
  inside: '{"state":,"seenAtMs":1700000000000}'.length,
  block: 16,
} as const;

const TOKEN = {
  name: 'token='.length,
  header: base64Length('{"alg":"HS256","kid":"12345678"}'.length),
  signature: base64Length(32),
  dots: 2,
  inside:
    '{"state":,"seenAtMs":1700000000000,"iss":"holdfast-demo","aud":"holdfast-demo","sub":"user10","jti":"","iat":1700000000,"exp":1700000000}'
      .length + base64Length(16),
} as const;

/** Largest JSON of a session that iron-session puts into a cookie. */
export function sealedBytesMax(): number {
  const room = COOKIE_BYTES_MAX - SEAL.name - SEAL.around - SEAL.attributes;
  const blocks = Math.floor(bytesIn(room) / SEAL.block);
  // The padding is at least one byte.
  return blocks * SEAL.block - 1 - SEAL.inside;
}

/** Largest JSON of a session that fits into a token in a cookie. */
export function tokenBytesMax(): number {
  const room = COOKIE_BYTES_MAX - TOKEN.name - TOKEN.header - TOKEN.signature - TOKEN.dots;
  return bytesIn(room) - TOKEN.inside;
}

/** Characters of base64 without padding for so many bytes. */
function base64Length(bytes: number): number {
  return Math.ceil((bytes * 4) / 3);
}

/** Most bytes that so many characters of base64 without padding hold. */
function bytesIn(characters: number): number {
  return Math.floor((characters * 3) / 4);
}
