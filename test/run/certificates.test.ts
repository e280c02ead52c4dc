// What becomes of certificates that were read for a reload: in use with its revision, or let go with its refusal.

import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { ManualClock, systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import { Certificates } from '../../src/run/certificates.ts';
import { createLogger } from '../../src/run/logger.ts';
import { TicketKeys } from '../../src/run/ticket-keys.ts';
import { selfSigned } from '../../src/tls/self-signed.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

afterEach(() => void vi.useRealTimers());

function scene() {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-certificates-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const clock = new ManualClock(systemClock.wallMs());
  let written = 0;
  /** NAME.pem and NAME.key, another certificate each time. */
  const write = (name: string, madeMs = clock.wallMs()): string => {
    const { cert, key } = selfSigned([`${name}.test`], madeMs);
    for (const [ending, content] of [
      ['pem', cert],
      ['key', key],
    ] as const) {
      const path = join(directory, `${name}.${ending}`);
      writeFileSync(path, content, { mode: 0o600 });
      // a clock that is coarse hides that a file is another
      written += 1;
      utimesSync(path, written, written);
    }
    return cert;
  };
  const load = (listen: readonly string[]): HoldfastConfig => {
    const yaml = `{ listen: [${listen.join(', ')}], pools: { shop: { servers: ["http://127.0.0.1:1"] } } }`;
    const { config, problems } = loadConfig(yaml, { file: 'test.yaml', env: {} });
    if (config === null) throw new Error(JSON.stringify(problems));
    return config;
  };
  /** All that is written, on one listener. */
  const folderConfig = (): HoldfastConfig =>
    load([`{ address: 127.0.0.1:8443, tls: { certificates: ${JSON.stringify(directory)} } }`]);
  const configOf = (...names: readonly string[]): HoldfastConfig => {
    const listen = names.map((name, index) => {
      const files = ['cert', 'key'].map((key) => {
        const ending = key === 'cert' ? 'pem' : 'key';
        return `${key}: ${JSON.stringify(join(directory, `${name}.${ending}`))}`;
      });
      return `{ address: 127.0.0.1:${8443 + index}, tls: { certificates: [{ ${files.join(', ')} }] } }`;
    });
    return load(listen);
  };
  const refreshed: (string | null)[] = [];
  const warnings: string[] = [];
  const begin = (config: HoldfastConfig): Certificates => {
    const log = {
      ...createLogger('silent'),
      warn: (_: object, message: string) => void warnings.push(message),
    };
    const certificates = new Certificates(new TicketKeys(null, null, clock, log), clock, log);
    certificates.assertRight(config);
    certificates.besides(config);
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => certificates.stop());
    const refresh = (what: string | null, refused: string | null): Promise<boolean> => {
      // keys of tickets change besides
      if (what === 'certificates have changed') refreshed.push(refused);
      return Promise.resolve(refused === null);
    };
    certificates.watch({ revising: { refresh }, publish: () => undefined });
    return certificates;
  };
  const pass = (ms: number): void => {
    clock.advance(ms);
    vi.advanceTimersByTime(ms);
  };
  const certsOf = (certificates: Certificates, config: HoldfastConfig): readonly (string | undefined)[] =>
    certificates.besides(config).secrets?.map((secrets) => secrets?.certificates[0]?.cert) ?? [];
  const listeners = (certificates: Certificates): readonly string[] =>
    certificates.expiries().map(({ listener, name }) => `${listener} ${name}`);
  return { clock, write, configOf, folderConfig, begin, pass, refreshed, warnings, certsOf, listeners };
}

test('a reload that is refused leaves no certificates behind, and files that have changed are still taken', () => {
  const { write, configOf, begin, refreshed, certsOf, listeners } = scene();
  const first = write('shop');
  write('other');
  const [one, two] = [configOf('shop'), configOf('shop', 'other')];
  const certificates = begin(one);
  const second = write('shop');
  certificates.assertRight(two);
  certificates.letGo();
  expect(listeners(certificates)).toEqual(['127.0.0.1:8443 shop.test']);
  expect(certsOf(certificates, one)).toEqual([first]);
  vi.advanceTimersByTime(3000);
  expect(refreshed).toEqual([null]);
  expect(certsOf(certificates, one)).toEqual([second]);
  vi.advanceTimersByTime(3000);
  expect(refreshed).toEqual([null]);
});

test('a reload that is made uses what was read for it, and it is not read again', () => {
  const { write, configOf, begin, refreshed, certsOf, listeners } = scene();
  write('shop');
  const other = write('other');
  const [one, two] = [configOf('shop'), configOf('shop', 'other')];
  const certificates = begin(one);
  const second = write('shop');
  certificates.assertRight(two);
  expect(certsOf(certificates, two)).toEqual([second, other]);
  expect(listeners(certificates)).toEqual(['127.0.0.1:8443 shop.test', '127.0.0.1:8444 other.test']);
  vi.advanceTimersByTime(3000);
  expect(refreshed).toEqual([]);
  expect(certsOf(certificates, one)).toEqual([second]);
  expect(listeners(certificates)).toEqual(['127.0.0.1:8443 shop.test']);
});

test('one whose own files are wrong changes nothing of those in use', () => {
  const { write, configOf, begin, refreshed, certsOf } = scene();
  const first = write('shop');
  const one = configOf('shop');
  const certificates = begin(one);
  expect(() => certificates.assertRight(configOf('shop', 'missing'))).toThrow('missing.pem');
  vi.advanceTimersByTime(3000);
  expect(refreshed).toEqual([]);
  expect(certsOf(certificates, one)).toEqual([first]);
});

test('a certificate that begins later is used then, though its files do not change any more', () => {
  const { clock, write, configOf, begin, pass, refreshed, certsOf } = scene();
  const first = write('shop');
  const one = configOf('shop');
  const certificates = begin(one);
  // who signs for himself does so for a day ago
  const second = write('shop', clock.wallMs() + DAY_MS + 90_000);
  pass(3000);
  expect(refreshed).toEqual([expect.stringContaining('is not valid before')]);
  pass(60_000);
  expect(refreshed).toHaveLength(1);
  expect(certsOf(certificates, one)).toEqual([first]);
  pass(60_000);
  expect(refreshed).toEqual([expect.any(String), null]);
  expect(certsOf(certificates, one)).toEqual([second]);
  pass(120_000);
  expect(refreshed).toHaveLength(2);
});

const YEAR_MS = 365 * DAY_MS;

test('one in use that ends by and by does not hold up those that are renewed beside it', () => {
  const { clock, write, configOf, begin, pass, refreshed, warnings, certsOf } = scene();
  write('shop');
  const ending = write('other', clock.wallMs() - YEAR_MS + 2 * DAY_MS);
  const both = configOf('shop', 'other');
  const certificates = begin(both);
  clock.advance(2 * DAY_MS);
  const renewed = write('shop');
  pass(3000);
  expect(refreshed).toEqual([null]);
  expect(certsOf(certificates, both)).toEqual([renewed, ending]);
  expect(warnings).toEqual([expect.stringMatching(/other\.pem" \(other\.test\) has expired on/)]);
  write('shop');
  pass(3000);
  expect(refreshed).toEqual([null, null]);
  expect(warnings).toHaveLength(1);
});

test('of a folder all begin that are good, and one that has ended is said, and seen', () => {
  const { clock, write, folderConfig, begin, pass, refreshed, warnings } = scene();
  write('one');
  write('two', clock.wallMs() - YEAR_MS - DAY_MS);
  write('three');
  const certificates = begin(folderConfig());
  expect(warnings).toEqual([expect.stringMatching(/two\.pem" \(two\.test\) has expired on .*, renew it;/)]);
  const ended = certificates.expiries().filter(({ notAfterMs }) => notAfterMs < clock.wallMs());
  expect(ended.map(({ name }) => name)).toEqual(['two.test']);
  write('two');
  pass(3000);
  expect(refreshed).toEqual([null]);
  expect(certificates.expiries().every(({ notAfterMs }) => notAfterMs > clock.wallMs())).toBe(true);
});

test('one that has ended, or not begun, does not replace one of a folder that is good', () => {
  const { clock, write, folderConfig, begin, pass, refreshed, certsOf } = scene();
  const first = write('shop');
  write('the-other');
  const config = folderConfig();
  const certificates = begin(config);
  write('shop', clock.wallMs() - YEAR_MS - DAY_MS);
  pass(3000);
  expect(refreshed).toEqual([expect.stringContaining('has expired')]);
  write('shop', clock.wallMs() + 5 * DAY_MS);
  pass(3000);
  expect(refreshed).toEqual([expect.any(String), expect.stringContaining('is not valid before')]);
  expect(() => certificates.assertRight(config)).toThrow('is not valid before');
  expect(certsOf(certificates, config)).toEqual([first]);
  clock.advance(5 * DAY_MS);
  pass(3000);
  expect(refreshed.slice(2)).toEqual([null]);
  expect(certsOf(certificates, config)).not.toEqual([first]);
});
