// Which header lines pass, which end here, and which are ours.

import { describe, expect, test } from 'vitest';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { needsAddress } from '../support/needs.ts';
import { rawClient } from '../support/raw-client.ts';
import { answer, type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { get } from '../support/talker.ts';

let backend: ScriptedBackend;
let trusting: Holdfast;
let distrusting: Holdfast;

forFile(async () => {
  backend = await scriptedBackend({
    '/answer': answer(
      'ok',
      [
        'X-Zebra: 1',
        'Set-Cookie: a=1; Path=/; Expires=Wed, 01 Jan 2031 00:00:00 GMT',
        'x-apple: 1',
        'SET-COOKIE: b=2',
        'X-Zebra: 2',
        'set-cookie: c=3',
        'Connection: keep-alive, X-Internal, Set-Cookie, Content-Length, Cache-Control',
        'Keep-Alive: timeout=5',
        'X-Internal: secret',
        'x-internal: secret2',
        'Cache-Control: no-store',
        'Proxy-Connection: keep-alive',
        'Upgrade: h2c',
        'WWW-Authenticate: Basic',
        'Via: 1.1 origin',
        'Server: nginx',
        'Date: Mon, 01 Jan 2024 00:00:00 GMT',
      ].join('\r\n') + '\r\n',
    ),
  });
  const yaml = (trusted: string): string => `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
trusted: ${trusted}
pools: { p: { health: off, servers: [{ url: ${backend.url} }] } }
`;
  [trusting, distrusting] = await Promise.all([runInside(yaml('[127.0.0.0/8]')), runInside(yaml('[]'))]);
});

let counter = 0;

/** The header lines the server got for a request with these. */
async function linesFor(holdfast: Holdfast, lines: readonly string[]): Promise<[string, string][]> {
  counter += 1;
  const path = `/request/${counter}`;
  await get(holdfast.port, path, lines.map((line) => `${line}\r\n`).join(''));
  const { head } = await backend.hears(path);
  return head
    .split('\r\n')
    .slice(1)
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
}

function valuesOf(lines: readonly [string, string][], name: string): string[] {
  return lines.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

const FORGED = [
  'X-Forwarded-For: 1.2.3.4',
  'X-FORWARDED-FOR: 5.6.7.8',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: evil.example',
  'X-Forwarded-Port: 443',
  'Forwarded: for=1.2.3.4;proto=https',
  'X-Request-Id: forged',
];

describe('forwarding fields', () => {
  test('of a client that is not trusted are dropped and written anew', async () => {
    const lines = await linesFor(distrusting, FORGED);
    expect(valuesOf(lines, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(valuesOf(lines, 'x-forwarded-proto')).toEqual(['http']);
    expect(valuesOf(lines, 'x-forwarded-host')).toEqual(['t']);
    expect(valuesOf(lines, 'x-forwarded-port')).toEqual([String(distrusting.port)]);
    expect(valuesOf(lines, 'forwarded')).toEqual([]);
    expect(valuesOf(lines, 'x-request-id')).toEqual([expect.stringMatching(/^[0-9a-f]{16}-\d+$/)]);
  });

  test('of a trusted peer are kept, its address is appended', async () => {
    const lines = await linesFor(trusting, FORGED);
    expect(valuesOf(lines, 'x-forwarded-for')).toEqual(['1.2.3.4, 5.6.7.8, 127.0.0.1']);
    expect(valuesOf(lines, 'x-forwarded-proto')).toEqual(['https']);
    expect(valuesOf(lines, 'x-forwarded-host')).toEqual(['evil.example']);
    expect(valuesOf(lines, 'x-forwarded-port')).toEqual(['443']);
    expect(valuesOf(lines, 'forwarded')).toEqual(['for=1.2.3.4;proto=https, for=127.0.0.1']);
    expect(valuesOf(lines, 'x-request-id')).toEqual(['forged']);
  });

  test('that a trusted peer leaves out are added', async () => {
    const lines = await linesFor(trusting, ['X-Forwarded-For: 1.2.3.4']);
    expect(valuesOf(lines, 'x-forwarded-for')).toEqual(['1.2.3.4, 127.0.0.1']);
    expect(valuesOf(lines, 'x-forwarded-proto')).toEqual(['http']);
    expect(valuesOf(lines, 'x-request-id')).toHaveLength(1);
  });

  test('under names with underscores are dropped: servers that map names would take them for the real ones', async () => {
    const lines = await linesFor(distrusting, ['X_Forwarded_For: 1.2.3.4']);
    expect(valuesOf(lines, 'x_forwarded_for')).toEqual([]);
  });

  test('cannot be removed by naming them in Connection', async () => {
    const lines = await linesFor(distrusting, [
      'Connection: X-Forwarded-For, X-Request-Id, Host, Cookie',
      'Cookie: a=b',
    ]);
    expect(valuesOf(lines, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(valuesOf(lines, 'x-request-id')).toHaveLength(1);
    expect(valuesOf(lines, 'host')).toEqual(['t']);
    expect(valuesOf(lines, 'cookie')).toEqual(['a=b']);
  });

  test('give each request its own id', async () => {
    const ids = new Set<string>();
    for (let index = 0; index < 5; index += 1)
      ids.add(valuesOf(await linesFor(distrusting, []), 'x-request-id')[0] ?? '');
    expect(ids.size).toBe(5);
  });
});

describe('hop-by-hop fields', () => {
  test('of the client end here, also those that Connection names', async () => {
    const lines = await linesFor(distrusting, [
      'Connection: keep-alive, X-Hop, close',
      'X-Hop: 1',
      'x-hop: 2',
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic xyz',
      'TE: trailers',
      'Upgrade: h2c',
      'HTTP2-Settings: AAA',
      'X-Holdfast-Anything: 1',
      'X-Kept: 1',
    ]);
    const names = lines
      .map(([name]) => name.toLowerCase())
      .filter((name) => !name.startsWith('x-forwarded-'));
    expect(names.sort()).toEqual(['host', 'via', 'x-kept', 'x-request-id']);
  });

  test('of the server end here, also those that Connection names, but nothing that is end-to-end', async () => {
    const reply = await get(distrusting.port, '/answer');
    expect(reply.lines).toEqual([
      ['content-length', '2'],
      ['X-Zebra', '1'],
      ['Set-Cookie', 'a=1; Path=/; Expires=Wed, 01 Jan 2031 00:00:00 GMT'],
      ['x-apple', '1'],
      ['SET-COOKIE', 'b=2'],
      ['X-Zebra', '2'],
      ['set-cookie', 'c=3'],
      ['Cache-Control', 'no-store'],
      ['WWW-Authenticate', 'Basic'],
      ['Via', '1.1 origin'],
      ['Server', 'nginx'],
      ['Date', 'Mon, 01 Jan 2024 00:00:00 GMT'],
    ]);
  });
});

describe('all other fields', () => {
  test('keep their case, order and repetitions', async () => {
    const sent = [
      'X-ZEBRA: 1',
      'aCCept: text/html',
      'x-apple:   spaced   value\t',
      'X-Zebra: 2',
      'Cookie: a=b',
      'cookie: c=d',
      'X-Empty:',
      'VIA: 1.0 other',
    ];
    const lines = await linesFor(distrusting, sent);
    expect(lines.slice(1, 1 + sent.length)).toEqual([
      ['X-ZEBRA', '1'],
      ['aCCept', 'text/html'],
      ['x-apple', 'spaced   value'],
      ['X-Zebra', '2'],
      ['Cookie', 'a=b'],
      ['cookie', 'c=d'],
      ['X-Empty', ''],
      ['VIA', '1.0 other'],
    ]);
  });

  test('and a Via of ours, behind those of others', async () => {
    expect(valuesOf(await linesFor(distrusting, ['Via: 1.0 other']), 'via')).toEqual([
      '1.0 other',
      '1.1 holdfast',
    ]);
  });
});

test.for(['127.0.0.1', '::1'])(
  'the host of an HTTP/1.0 request that names none is the listener at %s',
  async (address, { skip }) => {
    needsAddress(address, skip);
    const host = address === '::1' ? '[::1]' : address;
    const holdfast = await runInside(`
listen: ["${host}:0"]
admin: { address: 127.0.0.1:0 }
threads: 1
pools: { p: { health: off, servers: [{ url: ${backend.url} }] } }
`);
    const client = await rawClient(holdfast.port, address);
    const path = `/request/no-host-${address}`;
    client.send(`GET ${path} HTTP/1.0\r\n\r\n`);
    const { head } = await backend.hears(path);
    expect(head.split('\r\n')).toContain(`host: ${host}:${holdfast.port}`);
  },
);
