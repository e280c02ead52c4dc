// The certificates that are in a folder, as certbot, cert-manager and people name them.

import type { Faults } from './certificate.ts';
import type { Files } from './files.ts';
import type { CertificateFiles } from './options.ts';

const CERTIFICATES_MAX = 1000;
/** Of the authority: cert-manager puts it into the secret beside the pair. */
const AUTHORITY_FILE = 'ca.crt';

/**
 * Pairs in a folder: NAME.pem, NAME.crt or NAME.cer with NAME.key or in the same file, and folders with fullchain.pem and
 * privkey.pem, as certbot has them. In the order of their names, but one called `default` first.
 */
export function pairsIn(folder: string, files: Files, faults: Faults): readonly CertificateFiles[] {
  const names = files.list(folder);
  if ('refused' in names) {
    faults.error(`"${folder}" ${names.refused}`);
    return [];
  }
  const pairs = names
    .toSorted((a, b) => Number(/^default\b/.test(b)) - Number(/^default\b/.test(a)))
    .flatMap((name) => pairOf(folder, name, files));
  if (pairs.length === 0)
    faults.error(
      `"${folder}" holds no certificates, expected NAME.pem or NAME.crt with NAME.key, or folders with fullchain.pem and privkey.pem`,
    );
  if (pairs.length > CERTIFICATES_MAX)
    faults.error(`"${folder}" holds ${pairs.length} certificates, at most ${CERTIFICATES_MAX} are read`);
  return pairs;
}

function pairOf(folder: string, name: string, files: Files): readonly CertificateFiles[] {
  const path = `${folder.replace(/\/$/, '')}/${name}`;
  const rest = { chain: null, passphrase: null };
  if (files.isFile(`${path}/fullchain.pem`))
    return [{ cert: `${path}/fullchain.pem`, key: `${path}/privkey.pem`, ...rest }];
  const stem = /^(.*)\.(pem|crt|cer)$/.exec(path)?.[1];
  if (stem === undefined || !files.isFile(path)) return [];
  const beside = [`${stem}.key`, `${path}.key`, `${stem}-key.pem`].find((key) => files.isFile(key));
  if (beside === undefined && name === AUTHORITY_FILE) return [];
  if (stem.endsWith('-key') && files.isFile(`${stem.slice(0, -4)}.pem`)) return [];
  return [{ cert: path, key: beside ?? path, ...rest }];
}
