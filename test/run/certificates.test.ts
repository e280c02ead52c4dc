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
  const configOf = (...names: readonly string[]): HoldfastConfig => {
    const listen = names.map((name, index) => {
      const files = ['cert', 'key'].map((key) => {
        const ending = key === 'cert' ? 'pem' : 'key';
        return `${key}: ${JSON.stringify(join(directory, `${name}.${ending}`))}`;
      });
      return `{ address: 127.0.0.1:${8443 + index}, tls: { certificates: [{ ${files.join(', ')} }] } }`;
    });
    const yaml = `{ listen: [${listen.join(', ')}], pools: { shop: { servers: ["http://127.0.0.1:1"] } } }`;
    const { config, problems } = loadConfig(yaml, { file: 'test.yaml', env: {} });
    if (config === null) throw new Error(JSON.stringify(problems));
    return config;
  };
  const refreshed: (string | null)[] = [];
  const begin = (config: HoldfastConfig): Certificates => {
    const log = createLogger('silent');
    const certificates = new Certificates(new TicketKeys(null, null, clock, log), clock, log);
    certificates.assertRight(config);
    certificates.besides(config);
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => certificates.stop());
    const refresh = (_what: string | null, refused: string | null): Promise<boolean> => {
      refreshed.push(refused);
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
  return { clock, write, configOf, begin, pass, refreshed, certsOf, listeners };
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
