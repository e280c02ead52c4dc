// What is wrong with the files of a certificate: each is said with its place, what is there and what should be instead.

import { chmodSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { Faults, readCertificate } from '../../src/tls/certificate.ts';
import { realFiles } from '../../src/tls/files.ts';
import { CertificateFiles } from '../support/certificates.ts';
import { forFile } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const AIA = 'authorityInfoAccess=caIssuers;URI:http://authority.test/intermediate.der';
let files: CertificateFiles;

forFile(async () => {
  const openssl = needs('openssl', (reason) => {
    throw new Error(reason);
  });
  files = new CertificateFiles(openssl);
  files.issue('root', { names: ['Root'], isAuthority: true, days: 400 });
  files.issue('middle', { names: ['Middle'], by: 'root', isAuthority: true, days: 400 });
  files.issue('leaf', { names: ['a.test', '*.b.test'], by: 'middle', more: [AIA] });
  files.issue('private', { names: ['a.test'], by: 'root' });
  files.issue('rsa', { names: ['a.test'], by: 'root', key: 'rsa' });
  files.issue('other');
  files.issue('plain');
  files.bundle('full.pem', 'leaf', 'middle');
  files.bundle('reversed.pem', 'middle', 'leaf');
  files.bundle('gap.pem', 'leaf', 'root');
  // the same authority, known by another one
  files.issue('second', { names: ['Second'], isAuthority: true, days: 400 });
  const cross = (to: string, days: number): void => {
    const by = ['-CA', 'second.pem', '-CAkey', 'second.key', '-CAcreateserial'];
    files.run(
      'x509',
      '-req',
      '-in',
      'middle.csr',
      '-extfile',
      'middle.ext',
      ...by,
      '-days',
      `${days}`,
      '-out',
      to,
    );
  };
  cross('crossed.pem', 400);
  cross('crossed-short.pem', 1);
  files.bundle('stray.pem', 'leaf', 'middle', 'other');
  files.bundle('disordered.pem', 'leaf', 'root', 'middle');
  files.bundle('beside.pem', 'leaf', 'middle', 'other', 'root');
  files.bundle('twice.pem', 'leaf', 'middle', 'middle', 'root');
  files.write('garbage.pem', 'nothing of the kind\n');
  files.write('empty.pem', '');
  files.write('der.pem', files.run('x509', '-in', 'leaf.pem', '-outform', 'der'));
  files.write('damaged.pem', files.text('plain.pem').replace(/\n.{20}/, `\n${'A'.repeat(20)}`));
  // whole to whoever does not ask for its names
  const nameless = files.run('x509', '-in', 'plain.pem', '-outform', 'der');
  nameless[nameless.indexOf(Buffer.from('551d11', 'hex')) + 5] = 0x11;
  files.write(
    'nameless.pem',
    `-----BEGIN CERTIFICATE-----\n${nameless.toString('base64')}\n-----END CERTIFICATE-----\n`,
  );
  files.run('pkcs8', '-topk8', '-in', 'leaf.key', '-out', 'sealed.key', '-passout', 'pass:open');
  files.copy('leaf.key', 'open.key');
  chmodSync(files.file('open.key'), 0o644);
  files.copy('leaf.key', 'shut.key');
});

function remarks(tls: string, laterDays = 0): readonly string[] {
  const text = `listen:\n  - address: 127.0.0.1:443\n    tls:\n${tls.replaceAll(/^/gm, '      ')}\npools:\n  web: { servers: [http://127.0.0.1:1] }\n`;
  const at = (written: string): string => written.replaceAll('DIR', files.path);
  const nowMs = Date.now() + laterDays * DAY_MS;
  const { problems, warnings } = loadConfig(at(text), { file: 'f.yaml', env: {}, files: realFiles(nowMs) });
  const all = [...problems.map(formatProblem), ...warnings.map((one) => `${formatProblem(one)} (warning)`)];
  return all.map((one) => one.replaceAll(files.path, 'DIR'));
}

/** What clients are shown. */
function shown(cert: string): string | undefined {
  const named = { cert: files.file(cert), key: files.file('leaf.key'), chain: null, passphrase: null };
  return readCertificate(realFiles(Date.now()), named, new Faults())?.cert;
}

const pair = (cert: string, key: string, more = ''): string =>
  `certificates:\n  - cert: DIR/${cert}\n    key: DIR/${key}${more === '' ? '' : `\n    ${more}`}`;

test.each([
  [
    'a key of another certificate',
    pair('plain.pem', 'other.key'),
    'f.yaml:6:16: key "DIR/other.key" does not fit certificate "DIR/plain.pem" (plain.test), expected the key that the certificate was made for',
  ],
  [
    'the chain before the certificate',
    pair('reversed.pem', 'leaf.key'),
    'f.yaml:6:16: key "DIR/leaf.key" belongs to the 2nd certificate in "DIR/reversed.pem", which must stand first, before its chain',
  ],
  [
    'an encrypted key',
    pair('full.pem', 'sealed.key'),
    'f.yaml:6:16: "DIR/sealed.key" is encrypted and there is no "passphrase"; add one (it may come from the environment), or decrypt it with "openssl pkey"',
  ],
  [
    'the wrong passphrase',
    pair('full.pem', 'sealed.key', 'passphrase: shut'),
    'f.yaml:7:23: "passphrase" does not open "DIR/sealed.key", expected the one that the key was encrypted with',
  ],
  [
    'a key that all may read',
    pair('full.pem', 'open.key'),
    'f.yaml:6:16: "DIR/open.key" can be read by everybody on this machine, a key must not: chmod o= DIR/open.key',
  ],
  [
    'no chain, of an intermediate authority',
    pair('leaf.pem', 'leaf.key'),
    'f.yaml:5:17: "DIR/leaf.pem" has no chain: its issuer "CN=Middle" is not in it, and clients do not know that; append the intermediate certificates, or name their file with "chain"',
  ],
  [
    "no chain, of an authority of one's own",
    pair('private.pem', 'private.key'),
    'f.yaml:5:17: "DIR/private.pem" has no chain: its issuer "CN=Root" is not in it, and clients do not know that; append the intermediate certificates, or name their file with "chain". An authority of your own that all clients have needs none (warning)',
  ],
  [
    'a gap in the chain',
    pair('gap.pem', 'leaf.key'),
    'f.yaml:5:17: the 2nd certificate (CN=Root) has not issued the one before it, which "CN=Middle" has; the order is leaf, its issuer, the issuer of that',
  ],
  [
    'a stranger, where the rest leads to no end',
    pair('stray.pem', 'leaf.key'),
    'f.yaml:5:17: the 3rd certificate (other.test) has not issued the one before it, which "CN=Root" has; the order is leaf, its issuer, the issuer of that',
  ],
  [
    'an issuer after its own',
    pair('disordered.pem', 'leaf.key'),
    'f.yaml:5:17: the 2nd certificate (CN=Root) has not issued the one before it, which "CN=Middle" has; the order is leaf, its issuer, the issuer of that',
  ],
  [
    'a stranger beside a chain',
    pair('beside.pem', 'leaf.key'),
    'f.yaml:5:17: the 3rd certificate (other.test) has issued none before it, clients do not need it: leave it out (warning)',
  ],
  [
    'one that is there twice',
    pair('twice.pem', 'leaf.key'),
    'f.yaml:5:17: the 3rd certificate (CN=Middle) is the 2nd again, it is left out (warning)',
  ],
  [
    'DER',
    pair('der.pem', 'leaf.key'),
    'f.yaml:5:17: "DIR/der.pem" is DER, expected a certificate in PEM form; convert it with "openssl x509 -inform der" or "openssl pkey -inform der"',
  ],
  [
    'garbage',
    pair('garbage.pem', 'leaf.key'),
    'f.yaml:5:17: "DIR/garbage.pem" is not PEM, expected a certificate ("-----BEGIN …-----")',
  ],
  [
    'an empty file',
    pair('empty.pem', 'leaf.key'),
    'f.yaml:5:17: "DIR/empty.pem" is empty, expected a certificate in PEM form',
  ],
  [
    'a damaged certificate',
    pair('damaged.pem', 'plain.key'),
    'f.yaml:5:17: "DIR/damaged.pem": the 1st certificate is damaged, copy the file anew',
  ],
  [
    'names that cannot be read',
    pair('nameless.pem', 'plain.key'),
    'f.yaml:5:17: "DIR/nameless.pem": the 1st certificate is damaged, copy the file anew',
  ],
  [
    'a key for a certificate',
    pair('leaf.key', 'leaf.key'),
    'f.yaml:5:17: "DIR/leaf.key" holds "PRIVATE KEY", expected a certificate ("-----BEGIN CERTIFICATE-----")',
  ],
  ['a file that is not there', pair('none.pem', 'leaf.key'), 'f.yaml:5:17: "DIR/none.pem" does not exist'],
  ['a folder without certificates', 'certificates: DIR/nowhere', 'f.yaml:4:21: "DIR/nowhere" does not exist'],
  [
    'an authority that is none',
    'selfSigned: true\nclientAuth: require\nca: DIR/garbage.pem',
    'f.yaml:6:11: "DIR/garbage.pem" is not PEM, expected a certificate ("-----BEGIN …-----")',
  ],
  [
    'a revocation list that is none',
    'selfSigned: true\nclientAuth: require\nca: DIR/root.pem\ncrl: DIR/root.pem',
    'f.yaml:7:12: "DIR/root.pem" holds "CERTIFICATE", expected a X509 CRL ("-----BEGIN X509 CRL-----")',
  ],
])('%s', (_, tls, problem) => {
  expect(remarks(tls)).toEqual([problem]);
});

test('what may not be read by this user', ({ skip }) => {
  if (process.getuid?.() === 0) skip('root may read everything');
  chmodSync(files.file('shut.key'), 0);
  expect(remarks(pair('full.pem', 'shut.key'))).toEqual([
    'f.yaml:6:16: "DIR/shut.key" may not be read by this user; give it the right, or run as another',
  ]);
});

test('good ones: a bundle, a chain beside, an encrypted key with its passphrase', () => {
  expect(remarks(pair('full.pem', 'leaf.key'))).toEqual([]);
  expect(remarks(pair('leaf.pem', 'leaf.key', 'chain: DIR/middle.pem'))).toEqual([]);
  expect(remarks(pair('full.pem', 'sealed.key', 'passphrase: open'))).toEqual([]);
});

test('more than one way up: an authority that two others have signed, their own certificates as well, in either order', () => {
  files.bundle('crossed-full.pem', 'leaf', 'middle', 'crossed');
  files.bundle('crossed-roots.pem', 'leaf', 'crossed', 'middle', 'root', 'second');
  for (const name of ['crossed-full.pem', 'crossed-roots.pem']) {
    expect(remarks(pair(name, 'leaf.key'))).toEqual([]);
    expect(shown(name)).toBe(files.text(name));
  }
});

test('one certificate twice is shown once, a stranger as it is written', () => {
  expect(shown('twice.pem')).toBe(files.text('full.pem') + files.text('root.pem'));
  expect(shown('beside.pem')).toBe(files.text('beside.pem'));
});

test('one that has ended is a warning where the chain is whole without it, and an error where it is not', () => {
  files.bundle('ended.pem', 'leaf', 'middle', 'crossed-short', 'root');
  files.bundle('ended-alone.pem', 'leaf', 'crossed-short', 'second');
  expect(remarks(pair('ended.pem', 'leaf.key'), 2)).toEqual([
    'f.yaml:5:17: the 3rd certificate with "DIR/ended.pem" (CN=Middle) is not valid today, and clients do not need it: leave it out (warning)',
  ]);
  expect(remarks(pair('ended-alone.pem', 'leaf.key'), 2)).toEqual([
    expect.stringMatching(/^f\.yaml:5:17: the 2nd certificate .* has expired on \d{4}-\d\d-\d\d, renew it$/),
  ]);
});

test('dates: soon over is a warning, over and not begun are errors', () => {
  const tls = pair('plain.pem', 'plain.key');
  expect(remarks(tls, 80)).toEqual([
    expect.stringMatching(
      /^f\.yaml:5:17: certificate "DIR\/plain\.pem" \(plain\.test\) expires on \d{4}-\d\d-\d\d, in \d days: renew it \(warning\)$/,
    ),
  ]);
  expect(remarks(tls, 91)).toEqual([
    expect.stringMatching(/^f\.yaml:5:17: certificate .* has expired on \d{4}-\d\d-\d\d, renew it$/),
  ]);
  expect(remarks(tls, -1)).toEqual([
    expect.stringMatching(
      /^f\.yaml:5:17: certificate .* is not valid before \d{4}-\d\d-\d\d; look at the clock/,
    ),
  ]);
});

test('revocation lists: one that is over is a warning, a damaged one an error at its place', () => {
  files.write('index.txt', '');
  const own = `[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=3\ncertificate=root.pem\nprivate_key=root.key\n`;
  files.write('ca.cnf', own);
  files.run('ca', '-config', 'ca.cnf', '-gencrl', '-out', 'root.crl');
  files.write('damaged.crl', files.text('root.crl').replace(/\n.{20}/, `\n${'A'.repeat(20)}`));
  const tls = (crl: string): string =>
    `${pair('full.pem', 'leaf.key')}\nclientAuth: require\nca: DIR/root.pem\ncrl: DIR/${crl}`;
  expect(remarks(tls('root.crl'), 2)).toEqual([]);
  expect(remarks(tls('root.crl'), 4)).toEqual([
    expect.stringMatching(
      /^f\.yaml:9:12: a revocation list in "DIR\/root\.crl" has ended on \d{4}-\d\d-\d\d: .*; renew it \(warning\)$/,
    ),
  ]);
  expect(remarks(tls('damaged.crl'))).toEqual([
    'f.yaml:9:12: "DIR/damaged.crl" holds a damaged revocation list, copy the file anew',
  ]);
});

test('a name twice with the same kind of key, and with two kinds', () => {
  const twice = (second: string): string =>
    `${pair('full.pem', 'leaf.key')}\n  - cert: DIR/${second}.pem\n    key: DIR/${second}.key`;
  expect(remarks(twice('private')).filter((one) => !one.includes('warning'))).toEqual([
    'f.yaml:7:17: certificate "DIR/private.pem" is for "a.test", which "DIR/full.pem" is for as well, both with a key of type ec; leave one of them out (RSA and ECDSA may stand side by side)',
  ]);
  expect(remarks(twice('rsa')).filter((one) => !one.includes('warning'))).toEqual([]);
});

test('a secret of Kubernetes: links by way of a folder that is replaced as a whole', () => {
  for (const [version, name] of ['plain', 'other'].entries()) {
    mkdirSync(files.file(`secret/..${version}`), { recursive: true });
    for (const [end, to] of Object.entries({ pem: 'crt', key: 'key' }))
      files.copy(`${name}.${end}`, `secret/..${version}/tls.${to}`);
  }
  const leadTo = (version: number): void => {
    symlinkSync(`..${version}`, files.file('secret/..next'));
    renameSync(files.file('secret/..next'), files.file('secret/..data'));
  };
  leadTo(0);
  for (const end of ['crt', 'key']) symlinkSync(`..data/tls.${end}`, files.file(`secret/tls.${end}`));
  // as cert-manager has it
  files.copy('root.pem', 'secret/ca.crt');
  expect(remarks('certificates: DIR/secret')).toEqual([]);
  const seen = (): readonly string[] =>
    ['crt', 'key'].map((end) => realFiles(0).stamp(files.file(`secret/tls.${end}`)));
  const before = seen();
  leadTo(1);
  expect(seen()[0]).not.toBe(before[0]);
  expect(seen()[1]).not.toBe(before[1]);
  expect(remarks('certificates: DIR/secret')).toEqual([]);
});

test('a folder: pairs, keys within, and folders as certbot has them', () => {
  const folder = files.file('folder');
  mkdirSync(`${folder}/example`, { recursive: true });
  files.copy('full.pem', 'folder/example/fullchain.pem');
  files.copy('leaf.key', 'folder/example/privkey.pem');
  files.copy('plain.pem', 'folder/plain.crt');
  files.copy('plain.key', 'folder/plain.key');
  files.write('folder/other.pem', files.text('other.pem') + files.text('other.key'));
  expect(remarks('certificates: DIR/folder')).toEqual([]);
  files.copy('plain.key', 'folder/other.key');
  expect(remarks('certificates: { folder: DIR/folder }')).toEqual([
    'f.yaml:4:31: key "DIR/folder/other.key" does not fit certificate "DIR/folder/other.pem" (other.test), expected the key that the certificate was made for',
  ]);
});
