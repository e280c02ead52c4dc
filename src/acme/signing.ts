// Signed messages to an authority (RFC 8555 section 6.2): flattened JSON Web Signatures with ES256 (RFC 7515, RFC 7518).

import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** Who speaks: by address of the account once there is one, by the key itself before. */
export interface Signer {
  readonly key: KeyObject;
  /** null: the account is still to be made. */
  readonly accountUrl: string | null;
}

/** A key of the kind that accounts and certificates have here. */
export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export function keyText(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** `payload` null: the message only asks (POST-as-GET). */
export function signed(url: string, payload: object | null, nonce: string, signer: Signer): string {
  const { key, accountUrl } = signer;
  const who = accountUrl === null ? { jwk: publicJwk(key) } : { kid: accountUrl };
  const header = encoded(JSON.stringify({ alg: 'ES256', ...who, nonce, url }));
  const body = payload === null ? '' : encoded(JSON.stringify(payload));
  const bytes = Buffer.from(`${header}.${body}`);
  const signature = sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');
  return JSON.stringify({ protected: header, payload: body, signature });
}

/** What proves at a challenge that who answers has the account (section 8.1). */
export function keyAuthorization(token: string, key: KeyObject): string {
  // RFC 7638: these members, in this order
  const { crv, kty, x, y } = publicJwk(key);
  const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url');
  return `${token}.${thumbprint}`;
}

function publicJwk(key: KeyObject): { readonly [member: string]: unknown } {
  return { ...createPublicKey(key).export({ format: 'jwk' }) };
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64url');
}
