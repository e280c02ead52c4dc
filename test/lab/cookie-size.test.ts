// The largest session in a cookie: what the formats say is what the libraries do, to the byte.
import { createHash, randomBytes } from 'node:crypto';
import { sealData } from 'iron-session';
import { SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { newSessionState } from '../../demo/session-layer.ts';
import { COOKIE_BYTES_MAX, sealedBytesMax, tokenBytesMax } from '../../lab/cookie-size.ts';

const NOW_MS = 1_763_774_593_123;
const ATTRIBUTES = '; Max-Age=1740; Path=/; HttpOnly; SameSite=Lax';

/** Bytes of the cookie that iron-session compares with its limit. */
async function sealedCookie(sessionBytes: number): Promise<number> {
  const state = newSessionState('user10', sessionBytes, NOW_MS);
  const password = { 1: randomBytes(32).toString('hex') };
  const seal = await sealData({ state, seenAtMs: NOW_MS }, { password, ttl: 1800 });
  return `sealed=${seal}${ATTRIBUTES}`.length;
}

async function tokenCookie(sessionBytes: number): Promise<number> {
  const state = newSessionState('user10', sessionBytes, NOW_MS);
  const token = await new SignJWT({ state, seenAtMs: NOW_MS })
    .setProtectedHeader({ alg: 'HS256', kid: '12345678' })
    .setIssuer('holdfast-demo')
    .setAudience('holdfast-demo')
    .setSubject('user10')
    .setJti(randomBytes(16).toString('base64url'))
    .setIssuedAt(Math.floor(NOW_MS / 1000))
    .setExpirationTime(Math.ceil(NOW_MS / 1000) + 43_200)
    .sign(createHash('sha256').update('key').digest());
  return `token=${token}`.length;
}

test('sealed: the largest fits, one byte more does not', async () => {
  expect(await sealedCookie(sealedBytesMax())).toBeLessThanOrEqual(COOKIE_BYTES_MAX);
  expect(await sealedCookie(sealedBytesMax() + 1)).toBeGreaterThan(COOKIE_BYTES_MAX);
});

test('token: the largest fits, one byte more does not', async () => {
  expect(await tokenCookie(tokenBytesMax())).toBeLessThanOrEqual(COOKIE_BYTES_MAX);
  expect(await tokenCookie(tokenBytesMax() + 1)).toBeGreaterThan(COOKIE_BYTES_MAX);
});
