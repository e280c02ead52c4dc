// Many streams at once with bodies of all sizes both ways, some taken back, some read slowly: every byte of every body that
// ends is the one that was sent. The client is node:http2's.

import { type ClientHttp2Session, connect } from 'node:http2';
import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { httpBackend } from '../support/backend.ts';
import { whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';
import { seeds } from '../support/seeds.ts';

const STREAMS = 150;
const AT_ONCE = 20;
const SIZES = [0, 1, 100, 8_000, 16_375, 16_376, 65_535, 65_536, 300_000, 1_000_000];

/** The byte at a place of a body: another in each body. */
function bodyOf(key: number, length: number): Buffer {
  const body = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 1) body[at] = (key + at + (at >>> 8) * 7 + (at >>> 16) * 31) & 255;
  return body;
}

async function scene(listener: string): Promise<RunningThread> {
  const backend = await httpBackend('a', (request, response) => {
    const [, key = '', wanted = ''] = request.url?.split('/') ?? [];
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => undefined);
    request.on('end', () => {
      const got = Buffer.concat(parts);
      const isRight = got.equals(bodyOf(Number(key), got.length));
      const body = bodyOf(Number(key) + 1, Number(wanted));
      response.setHeader('x-got', `${got.length} ${isRight}`);
      if (Number(key) % 2 === 0) response.setHeader('content-length', body.length);
      const half = body.length >> 1;
      response.write(body.subarray(0, half));
      response.end(body.subarray(half));
    });
  });
  return runThread(`pools: { web: { health: off, servers: ["${backend.url}"] } }`, listener);
}

/** What is wrong with one exchange; '' for nothing. */
function exchange(client: ClientHttp2Session, key: number, random: SeededRandom): Promise<string> {
  const pick = (): number => SIZES[Math.floor(random.next() * SIZES.length)] ?? 0;
  const [up, down, behaviour] = [pick(), pick(), random.next()];
  const isTakenBack = behaviour < 0.1;
  const body = bodyOf(key, up);
  const length = random.next() < 0.5 ? { 'content-length': up } : {};
  return new Promise((resolve) => {
    const stream = client.request({ ':method': 'POST', ':path': `/${key}/${down}`, ...length });
    const parts: Buffer[] = [];
    let got = '';
    stream.on('response', (headers) => {
      got = String(headers['x-got']);
    });
    stream.on('data', (part: Buffer) => {
      parts.push(part);
      if (behaviour < 0.3) {
        stream.pause();
        setImmediate(() => stream.resume());
      }
    });
    stream.on('error', (error) => resolve(isTakenBack ? '' : `${key}: ${error.message}`));
    stream.on('close', () => {
      const all = Buffer.concat(parts);
      const isRight = got === `${up} true` && all.equals(bodyOf(key + 1, down));
      resolve(
        isRight || isTakenBack ? '' : `${key}: sent ${up}, server got ${got}, ${all.length} of ${down} back`,
      );
    });
    const half = body.length >> 1;
    stream.write(body.subarray(0, half));
    if (isTakenBack) setImmediate(() => stream.close(8));
    else stream.end(body.subarray(half));
  });
}

for (const [how, listener] of [
  ['in the clear', 'h2c: true'],
  ['over TLS', 'tls: { selfSigned: true }'],
] as const)
  test(`${how}: every byte of every body`, async () => {
    const running = await scene(listener);
    const random = new SeededRandom(seeds(1)[0] ?? 1);
    const scheme = listener.startsWith('tls') ? 'https' : 'http';
    const client = connect(`${scheme}://127.0.0.1:${running.port}`, { rejectUnauthorized: false });
    whenDone(() => client.destroy());
    client.on('error', () => undefined);
    const wrong: string[] = [];
    let begun = 0;
    const one = async (): Promise<void> => {
      while (begun < STREAMS) {
        begun += 1;
        const fault = await exchange(client, begun * 10, random);
        if (fault !== '') wrong.push(fault);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    expect(wrong).toEqual([]);
    client.close();
    await running.isQuiet();
  });
