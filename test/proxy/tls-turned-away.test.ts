// Clients whose certificates are not good enough, on one thread: counted as that, and the log says why.

import { type ConnectionOptions, connect } from 'node:tls';
import { expect, test } from 'vitest';
import { type Authority, authority, type Certificate } from '../support/authority.ts';
import { eventually } from '../support/eventually.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { runThread } from '../support/proxy-thread.ts';

let own: Authority;
let ended: Certificate;
let stranger: Certificate;

forFile((skip) => {
  own = authority(skip);
  ended = own.issue('DNS:bob.test', -1);
  stranger = authority(skip).issue('DNS:mallory.test');
});

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: the log says of one in ten seconds why',
  async (maxVersion) => {
    const running = await runThread(
      'pools: { web: { health: off, servers: ["http://127.0.0.1:1"] } }',
      `tls: { selfSigned: true, clientAuth: require, ca: ${own.caFile} }`,
    );
    const turnedAway = async (shown: Partial<Certificate>, count: number): Promise<void> => {
      const { cert, key } = shown;
      const own: ConnectionOptions = cert === undefined || key === undefined ? {} : { cert, key };
      const socket = connect({ port: running.port, rejectUnauthorized: false, maxVersion, ...own });
      whenDone(() => socket.destroy());
      socket.on('error', () => undefined);
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
      await eventually(() => running.thread.own.handshakes(0, 'unverified') === count);
    };
    await turnedAway(ended, 1);
    await turnedAway(stranger, 2);
    await turnedAway({}, 3);
    running.pass(20_000);
    await turnedAway(stranger, 4);
    await turnedAway(ended, 5);
    running.pass(20_000);
    await turnedAway({}, 6);
    const begin = 'warn listener 127.0.0.1:0: client 127.0.0.1 is turned away: ';
    expect(running.log).toEqual([
      `${begin}its certificate (CN=bob.test) is not good: CERT_HAS_EXPIRED`,
      `${begin}its certificate (CN=mallory.test) is not good: UNABLE_TO_VERIFY_LEAF_SIGNATURE`,
      `${begin}it shows no certificate`,
    ]);
    expect(running.thread.own.handshakes(0, 'failed')).toBe(0);
    await running.isQuiet();
  },
);
