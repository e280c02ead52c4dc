// TLS in the whole program: sessions on all threads and in the next process, certificates that change, what a bad one does.

import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { selfSigned } from '../../src/tls/self-signed.ts';
import { httpBackend } from '../support/backend.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';
import { TlsLoad, visit } from '../support/tls-load.ts';

const VISITS = 24;
const DAY_MS = 24 * 60 * 60 * 1000;

interface Setting {
  readonly files: CertificateFiles;
  readonly yaml: string;
}

async function setting(skip: (reason: string) => never, more = ''): Promise<Setting> {
  const files = new CertificateFiles(needs('openssl', skip));
  files.issue('now');
  const backend = await httpBackend('a');
  const yaml = `
threads: 2
listen: { address: 127.0.0.1:0, tls: { certificates: [{ cert: ${files.file('now.pem')}, key: ${files.file('now.key')} }] } }
admin: { address: 127.0.0.1:0 }
shutdown: { grace: 5s }
${more}
pools:
  web: { servers: ["${backend.url}"] }
`;
  return { files, yaml };
}

/** Another certificate in the place of the one in use, as renewal tools do it. */
function renew(files: CertificateFiles, number: number): void {
  files.issue('next', { names: [`now-${number}.test`] });
  for (const end of ['key', 'pem']) renameSync(files.file(`next.${end}`), files.file(`now.${end}`));
}

async function resumed(
  port: number,
  session: Buffer | null,
  times: number,
): Promise<readonly [number, Buffer]> {
  let count = 0;
  let last = session;
  for (let visits = 0; visits < times; visits += 1) {
    const { isResumed, session: next } = await visit(port, last);
    if (isResumed) count += 1;
    last = next;
  }
  if (last === null) throw new Error('no visits');
  return [count, last];
}

const handshakes = (running: RunningHoldfast, result: string): Promise<number> =>
  running.metric('holdfast_tls_handshakes_total', { result });

test('a session is resumed on all threads, after a takeover and after a restart', async ({ skip }) => {
  const { files, yaml } = await setting(skip, `sessions: { file: PLACE }`);
  const text = yaml.replace('PLACE', join(files.path, 'sessions'));
  const first = await runHoldfast(text);
  expect(first.output()).toContain('listening on https://127.0.0.1:');
  const [before, session] = await resumed(first.port, null, VISITS);
  expect(before).toBe(VISITS - 1);
  const second = await runHoldfast(text, { args: ['--takeover', first.adminUrl] });
  await first.exited();
  const [after, next] = await resumed(second.port, session, VISITS);
  expect(after).toBe(VISITS);
  await second.stop();
  const third = await runHoldfast(text);
  const [again] = await resumed(third.port, next, 2);
  expect(again).toBe(2);
});

test('renewed files are used by themselves; what does not fit changes nothing and is said', async ({
  skip,
}) => {
  const { files, yaml } = await setting(skip);
  const running = await runHoldfast(yaml);
  const load = new TlsLoad(running.port, 8);
  await eventually(() => load.serials.size === 1);
  renew(files, 1);
  await eventually(() => load.serials.size === 2);
  // it is said once all threads use them
  await eventually(() => running.log().includes('certificates have changed: used from now on'));
  expect(await running.metric('holdfast_certificate_expiry_seconds', { name: 'now-1.test' })).toBeGreaterThan(
    1,
  );

  files.issue('other');
  files.copy('other.key', 'now.key');
  await eventually(() => running.log().includes('certificates have changed, but the former stay in use'));
  expect(running.log()).toContain('does not fit certificate');
  expect(await running.metric('holdfast_reloads_total', { result: 'failure' })).toBe(1);
  running.child.kill('SIGHUP');
  await eventually(() => running.log().includes('reload refused, nothing has changed'));
  const answers = load.answers;
  await eventually(() => load.answers > answers + 50);
  expect(load.serials.size).toBe(2);

  renew(files, 2);
  await eventually(() => load.serials.size === 3);
  await load.end();
  expect(load.failures).toEqual([]);
  expect(await handshakes(running, 'failed')).toBe(0);
});

test('of a folder with one that has expired the others begin; it is said, and seen', async ({ skip }) => {
  const { files, yaml } = await setting(skip);
  files.issue('other');
  const { cert, key } = selfSigned(['ended.test'], Date.now() - 400 * DAY_MS);
  mkdirSync(files.file('folder'));
  files.write('folder/a.pem', cert + key);
  for (const name of ['now', 'other'])
    files.write(`folder/${name}.pem`, files.text(`${name}.pem`) + files.text(`${name}.key`));
  const ofFolder = yaml.replace(/certificates: .*] }/, `certificates: ${files.file('folder')} }`);
  const running = await runHoldfast(ofFolder);
  const expired = /holdfast\.yaml:3:\d+: warning: certificate ".*a\.pem" \(ended\.test\) has expired on /;
  expect(running.log()).toMatch(expired);
  const left = (name: string): Promise<number> =>
    running.metric('holdfast_certificate_expiry_seconds', { name });
  expect((await left('ended.test')) * 1000).toBeLessThan(Date.now());
  expect((await left('other.test')) * 1000).toBeGreaterThan(Date.now());
  running.child.kill('SIGHUP');
  await eventually(() => running.log().includes('"reloaded"'));
  const named = yaml.replaceAll(/now\.(pem|key)/g, 'folder/a.pem');
  await expect(runHoldfast(named)).rejects.toThrow(
    /holdfast\.yaml:3:\d+: certificate ".*a\.pem" .* has expired on /,
  );
});

test('a start with a certificate that is wrong says where', async ({ skip }) => {
  const { files, yaml } = await setting(skip);
  files.issue('other');
  files.copy('other.key', 'now.key');
  await expect(runHoldfast(yaml)).rejects.toThrow(
    /holdfast\.yaml:3:\d+: key ".*now\.key" does not fit certificate/,
  );
});
