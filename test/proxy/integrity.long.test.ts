// The short form of test/soak/integrity.ts, in one thread: every byte belongs to the request that asked for it.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { authority } from '../support/authority.ts';
import { ByteReader } from '../support/byte-reader.ts';
import { bytesOf, integrityServer } from '../support/integrity-server.ts';
import { askAround, Findings, IntegrityUser, integrityPools } from '../support/integrity-user.ts';
import { runThread } from '../support/proxy-thread.ts';

const USERS = 24;
const RESPONSES = 600;

test.for([
  ['in the clear', '', false],
  ['over TLS', 'tls: { selfSigned: true }', false],
  ['from servers over TLS', '', true],
  ['over TLS on both sides', 'tls: { selfSigned: true }', true],
] as const)(
  'every framing, held and not, pipelined, slowly taken, uploaded, tunnelled, %s',
  {
    timeout: 120_000,
  },
  async ([, listener, isSecure], { skip }) => {
    const own = isSecure ? authority(skip) : null;
    const url = await integrityServer(own?.issue('IP:127.0.0.1') ?? null);
    const running = await runThread(integrityPools(url, own?.caFile ?? null), listener);
    const findings = new Findings();
    const users = Array.from(
      { length: USERS },
      (_, seed) => new IntegrityUser(running.port, findings, new SeededRandom(seed), listener !== ''),
    );
    await askAround(users, () => findings.responses >= RESPONSES || findings.wrong.length > 0);
    const { wrong, cut, tunnels, uploads } = findings;
    expect({ wrong, cut }).toEqual({ wrong: [], cut: [] });
    expect([tunnels > 10, uploads > 100]).toEqual([true, true]);
    await running.isQuiet();
  },
);

test.each(['length', 'chunked', 'close'])(
  'bodies (%s) that a takeover holds back, of as many users',
  async (framing) => {
    const length = 48_000;
    for (const pool of ['plain', 'held']) {
      const running = await runThread(integrityPools(await integrityServer()));
      const readers = await Promise.all(Array.from({ length: USERS }, () => ByteReader.open(running.port)));
      const ask = (reader: ByteReader, path: string): void =>
        void reader.socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`);
      for (const [number, reader] of readers.entries()) {
        ask(reader, `/plain/length/${number}/0`);
        await reader.response('GET');
      }
      running.thread.retire();
      // the successor answers late: responses wait meanwhile, and others are read
      const telling = setInterval(() => running.thread.successorKnows(), 20);
      const bodies = await Promise.all(
        readers.map(async (reader, number) => {
          await new Promise((resolve) => setTimeout(resolve, number * 3));
          ask(reader, `/${pool}/${framing}/${number}/${length}`);
          return (await reader.response('GET')).body;
        }),
      );
      clearInterval(telling);
      const wrong = bodies.flatMap((body, number) => (body.equals(bytesOf(number, length)) ? [] : [number]));
      expect(wrong).toEqual([]);
      for (const { socket } of readers) socket.destroy();
      await running.isQuiet();
    }
  },
);
