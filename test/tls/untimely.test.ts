// Certificates that time alone has made wrong: named ones are errors; of a folder the others are used, and so are these where no
// other is for their names.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { Faults } from '../../src/tls/certificate.ts';
import { realFiles } from '../../src/tls/files.ts';
import { readMaterial } from '../../src/tls/material.ts';
import { selfSigned } from '../../src/tls/self-signed.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOW_MS = Date.UTC(2026, 5, 1);
/** When it is made, for one that has ended by now, is good, or has not begun: it is good for a year, from a day before on. */
const ENDED = NOW_MS - 366 * DAY_MS;
const GOOD = NOW_MS;
const TO_BEGIN = NOW_MS + 3 * DAY_MS;

function scene() {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-untimely-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const write = (file: string, madeMs: number, names: readonly string[] = [`${file}.test`]): void => {
    mkdirSync(folder, { recursive: true });
    const { cert, key } = selfSigned(names, madeMs);
    writeFileSync(join(folder, `${file}.pem`), cert + key, { mode: 0o600 });
  };
  const load = (certificates: string) => {
    const yaml = `listen:\n  - address: 127.0.0.1:443\n    tls:\n      certificates: ${certificates.replaceAll('DIR', folder)}\npools:\n  web: { servers: [http://127.0.0.1:1] }\n`;
    return loadConfig(yaml, { file: 'f.yaml', env: {}, files: realFiles(NOW_MS) });
  };
  const remarks = (certificates: string): readonly string[] => {
    const { problems, warnings } = load(certificates);
    const all = [...problems.map(formatProblem), ...warnings.map((one) => `${formatProblem(one)} (warning)`)];
    return all.map((one) => one.replaceAll(folder, 'DIR'));
  };
  /** Names that lead to each certificate, in order. */
  const used = (): readonly (readonly string[])[] => {
    const tls = load('DIR').config?.listen[0]?.tls;
    if (tls == null) throw new Error('the configuration is wrong');
    const faults = new Faults();
    const material = readMaterial(tls, realFiles(NOW_MS), faults, () => selfSigned(['own'], NOW_MS));
    return material?.certificates.map(({ names }) => names) ?? [];
  };
  return { write, remarks, used };
}

const named = (...files: readonly string[]): string =>
  `[${files.map((file) => `{ cert: DIR/${file}.pem, key: DIR/${file}.pem }`).join(', ')}]`;

test('one of several in a folder is a warning with file and reason', () => {
  const { write, remarks, used } = scene();
  write('a', GOOD);
  write('b', ENDED);
  write('c', TO_BEGIN);
  expect(remarks('DIR')).toEqual([
    'f.yaml:4:21: certificate "DIR/b.pem" (b.test) has expired on 2026-05-31, renew it; its clients turn away until then, those of others do not (warning)',
    'f.yaml:4:21: certificate "DIR/c.pem" (c.test) is not valid before 2026-06-03; look at the clock of this machine, or use the former one until then; its clients turn away until then, those of others do not (warning)',
  ]);
  expect(used()).toEqual([['a.test'], ['b.test'], ['c.test']]);
});

test('named they are errors, whatever stands beside them', () => {
  const { write, remarks } = scene();
  write('a', GOOD);
  write('b', ENDED);
  expect(remarks(named('a', 'b'))).toEqual([
    expect.stringMatching(
      /^f\.yaml:4:\d+: certificate "DIR\/b\.pem" \(b\.test\) has expired on 2026-05-31, renew it$/,
    ),
  ]);
});

test('all of a folder are errors', () => {
  const { write, remarks } = scene();
  write('a', ENDED);
  write('b', TO_BEGIN);
  expect(remarks('DIR')).toEqual([
    'f.yaml:4:21: certificate "DIR/a.pem" (a.test) has expired on 2026-05-31, renew it',
    'f.yaml:4:21: certificate "DIR/b.pem" (b.test) is not valid before 2026-06-03; look at the clock of this machine, or use the former one until then',
  ]);
});

test('one that is good has the names that it is for, also as wildcard, and what else is wrong stays an error', () => {
  const { write, remarks, used } = scene();
  write('a', ENDED, ['shop.test', 'a.wild.test', 'alone.test']);
  write('b', GOOD, ['shop.test', '*.wild.test']);
  write('old', ENDED, ['shop.test']);
  write('older', ENDED - 5 * DAY_MS, ['alone.test']);
  expect(used()).toEqual([['alone.test'], ['shop.test', '*.wild.test']]);
  expect(remarks('DIR').filter((one) => one.includes('its names have others'))).toHaveLength(2);
  write('twice', GOOD, ['shop.test']);
  expect(remarks('DIR').filter((one) => !one.endsWith('(warning)'))).toEqual([
    expect.stringContaining(
      'certificate "DIR/twice.pem" is for "shop.test", which "DIR/b.pem" is for as well',
    ),
  ]);
});
