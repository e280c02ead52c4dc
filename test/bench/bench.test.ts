/** The benchmark's own parts: a benchmark that measures wrongly, or overlooks a broken proxy, is worse than none. */
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startCanned } from './backends.ts';
import { check, checkTimed } from './check.ts';
import { freePorts, isAccepting, startChild, until } from './children.ts';
import { startEchoBackend } from './echo-backend.ts';
import { luaText, type Sample } from './load.ts';
import { parseOptions } from './options.ts';
import {
  cpuMicrosOfTree,
  parseOpenFilesMax,
  parseResident,
  parseStat,
  residentOfTree,
  treeOf,
} from './proc-stat.ts';
import { figuresOf, markdownTable, tableOf } from './report.ts';
import { requestBytes, SCENARIOS } from './scenarios.ts';
import { median, ratio, spreadOf } from './statistics.ts';
import { chartOf } from './svg.ts';
import { startTinyProxy } from './tiny-proxy.ts';
import { judge } from './verdict.ts';

const isLinux = process.platform === 'linux';
const closers: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe('statistics', () => {
  test('the median of an even number of values lies between the middle two', () => {
    expect([median([5, 1, 3]), median([4, 1, 3, 2]), median([])]).toEqual([3, 2.5, Number.NaN]);
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 });
  });

  test('a ratio to something unknown or zero is null', () => {
    expect([ratio(3, 2), ratio(3, 0), ratio(3, undefined), ratio(Number.NaN, 1)]).toEqual([
      1.5,
      null,
      null,
      null,
    ]);
  });
});

describe('/proc', () => {
  const line = '42 (a (b) c) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 3 4 20 0 5 0 12345 1000 200';

  test('a stat line is read even when the command holds spaces and brackets', () => {
    expect(parseStat(line)).toEqual({ pid: 42, command: 'a (b) c', parentPid: 7, cpuTicks: 40 });
    expect(parseStat('nonsense')).toBeNull();
    expect(parseStat('')).toBeNull();
  });

  test('the tree of a process holds its children and theirs, and nobody else', () => {
    const stat = (pid: number, parentPid: number) => ({ pid, parentPid, command: 'x', cpuTicks: 0 });
    const all = [stat(1, 0), stat(2, 1), stat(3, 2), stat(4, 1), stat(5, 3)];
    expect(treeOf(2, all)).toEqual([2, 3, 5]);
  });

  test('memory and limits are read in bytes and numbers', () => {
    const status = 'Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n';
    expect(parseResident(status)).toEqual({ nowBytes: 1 << 20, peakBytes: 2 << 20 });
    expect(parseResident('')).toEqual({ nowBytes: 0, peakBytes: 0 });
    expect(
      parseOpenFilesMax('Max open files            1024                 20000                files'),
    ).toBe(20000);
    expect(
      parseOpenFilesMax('Max open files            1024                 unlimited            files'),
    ).toBeNull();
  });

  test.runIf(isLinux)('CPU time of a working child is seen from outside (needs /proc)', async () => {
    const burn =
      'const end = Date.now() + 200; while (Date.now() < end); console.log("done"); setInterval(() => {}, 1e6)';
    const child = startChild([process.execPath, '-e', burn], null);
    closers.push(child.stop);
    await until(child, 'work to be done', 4_000, () => (child.stdout().includes('done') ? true : null));
    expect(cpuMicrosOfTree(child.pid)).toBeGreaterThan(20_000);
    expect(residentOfTree(child.pid).nowBytes).toBeGreaterThan(1 << 20);
    await child.stop();
    expect(() => cpuMicrosOfTree(child.pid)).toThrow('is gone');
  });
});

describe('children', () => {
  test('waiting for a child that ends tells what it said', async () => {
    const child = startChild(
      [process.execPath, '-e', 'console.error("no such file"); process.exit(3)'],
      null,
    );
    await expect(until(child, 'it', 4_000, () => null)).rejects.toThrow(
      /waiting for it: it ended with 3; no such file/,
    );
  });

  test('free ports differ and nobody listens there', async () => {
    const ports = await freePorts(3);
    expect(new Set(ports).size).toBe(3);
    expect(await isAccepting(ports[0]!)).toBe(false);
  });
});

describe('the check before timing', () => {
  async function faultsOf(conduct: 'honest' | 'swapping', isSticky: boolean): Promise<readonly string[]> {
    const backend = await startEchoBackend('a');
    const proxy = await startTinyProxy(backend.port, conduct);
    closers.push(proxy.close, backend.close);
    return check(proxy.port, isSticky);
  }

  test('finds nothing wrong with an honest proxy', async () => {
    expect(await faultsOf('honest', false)).toEqual([]);
  });

  test('finds a proxy that swaps the bodies of overlapping requests', async () => {
    const faults = await faultsOf('swapping', false);
    expect(faults).toEqual([expect.stringMatching(/^parallel replies: \/item\/\d+: body/)]);
  });

  test('finds a proxy that claims affinity but gives no cookie', async () => {
    expect(await faultsOf('honest', true)).toEqual(['affinity: no cookie for a new visitor']);
  });

  test('finds timed backends whose bodies have the wrong length', async () => {
    const backend = await startEchoBackend('a');
    closers.push(backend.close);
    expect(await checkTimed(backend.port, 128)).toEqual([
      '/small: 2 bytes, expected 128',
      '/large: altered body',
    ]);
  });
});

describe('load', () => {
  test('the browser request is about 1.1 KB with 16 headers and cookies, the affinity cookie last', () => {
    const browser = SCENARIOS[0]!;
    const text = requestBytes(browser, 'affinity=0123456789abcdef');
    expect(text.length).toBeGreaterThan(1_000);
    expect(text.length).toBeLessThan(1_300);
    expect(text.split('\r\n').length - 3).toBe(17); // Host, 15 more, Cookie
    expect(text).toMatch(/; affinity=0123456789abcdef\r\n\r\n$/);
  });

  test('requests are quoted for Lua', () => {
    expect(luaText(['GET / HTTP/1.1\r\nX: "\\"\r\n\r\n'])).toContain(
      '"GET / HTTP/1.1\\r\\nX: \\"\\\\\\"\\r\\n\\r\\n" .. body,',
    );
  });

  test('an upload says its length, and its body follows', () => {
    const upload = { ...SCENARIOS[1]!, sentBytes: 1000 };
    expect(requestBytes(upload, '')).toBe(
      'POST /small HTTP/1.1\r\nHost: shop.example.test\r\nContent-Length: 1000\r\n\r\n',
    );
    expect(luaText(['POST'], 1000)).toContain('local body = string.rep("u", 1000)');
  });
});

describe('canned servers', () => {
  async function converse(...parts: readonly string[]): Promise<string> {
    const backends = await startCanned(null);
    const socket = connect({ port: backends.list[0]?.port ?? 0, host: '127.0.0.1' });
    closers.push(() => void socket.destroy(), backends.stop);
    let text = '';
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
    });
    for (const part of parts) socket.write(part);
    await eventually(() => text.endsWith('the end') || text.split('HTTP/1.1 200 OK').length === 3);
    return text;
  }

  test('take the body of an upload before they answer, and find the request behind it', async () => {
    const body = 'u'.repeat(200_000);
    const head = `POST /small HTTP/1.1\r\nContent-Length: ${body.length}\r\n\r\n`;
    expect(await converse(head, body, 'GET /small HTTP/1.1\r\n\r\n')).toContain('Content-Length: 128');
  });

  test('send back what comes after an upgrade', async () => {
    const text = await converse('GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\nfirst, ', 'then the end');
    expect(text).toMatch(/^HTTP\/1\.1 101 .*\r\n\r\nfirst, then the end$/s);
  });
});

describe('report', () => {
  const sample = (cpuMicrosPerRequest: number): Sample => ({
    requests: 1000,
    errors: 0,
    seconds: 1,
    p50Micros: 800,
    p99Micros: 1500,
    cpuMicrosPerRequest,
    requestsPerSecond: 1000,
    busy: 0.5,
    residentBytes: 50 << 20,
    residentPeakBytes: 60 << 20,
  });
  const figures = (own: number) =>
    figuresOf([
      { peer: 'holdfast', scenario: 'browser', samples: [sample(own), sample(own + 1), sample(own + 40)] },
      { peer: 'haproxy', scenario: 'browser', samples: [sample(20)] },
      { peer: 'http-proxy', scenario: 'browser', samples: [sample(100)] },
    ]);

  test('ratios compare medians', () => {
    const [holdfast] = figures(21);
    expect(holdfast).toMatchObject({
      cpuMicros: { median: 22, min: 21, max: 61 },
      toHaproxy: 1.1,
      toHttpProxy: 0.22,
    });
  });

  test('the verdict names each limit, kept or not', () => {
    expect(judge(figures(21))).toEqual({
      isKept: true,
      lines: [
        'ok: browser: CPU of holdfast to haproxy 1.10, at most 1.30',
        'skipped: body100k: CPU of holdfast to haproxy, not both measured',
        'ok: browser: CPU of holdfast to http-proxy 0.22, at most 0.33',
      ],
    });
    expect(judge(figures(39))).toMatchObject({ isKept: false });
    expect(judge([])).toEqual({ isKept: false, lines: ['FAILED: holdfast was not measured'] });
  });

  test('the table is aligned, cheapest first, and tells who has no affinity', () => {
    const entrant = {
      name: 'haproxy',
      version: '2.6',
      sticky: 'cookie',
      outcome: 'measured',
      faults: [],
    } as const;
    const lines = tableOf(figures(30), [entrant]).split('\n');
    expect(lines.map((line) => line.slice(0, 13))).toEqual([
      '| proxy      ',
      '|------------',
      '| haproxy 2.6',
      '| holdfast   ',
      '| http-proxy ',
    ]);
    expect(new Set(lines.map((line) => line.length)).size).toBe(1);
    expect(lines[3]).toContain('none: targets in turn');
    expect(markdownTable(['a', 'b'], [['1', '2']])).toBe('| a | b |\n|---|---|\n| 1 | 2 |');
  });

  test('the chart is well-formed, marks Holdfast and adapts to a dark page', () => {
    const chart = chartOf(SCENARIOS, figures(21), 'rounds < 3 & quick');
    expect(chart.match(/<rect class="bar own"/g)).toHaveLength(1);
    expect(chart.match(/<rect /g)).toHaveLength(3);
    expect(chart).toContain('prefers-color-scheme:dark');
    expect(chart).toContain('rounds &lt; 3 &amp; quick');
    expect(chart).not.toContain('NaN');
  });
});

describe('options', () => {
  test('quick means one round of two seconds', () => {
    expect(parseOptions(['--quick'])).toMatchObject({ seconds: 2, rounds: 1 });
    expect(parseOptions(['--quick', '--rounds', '2', '--only', 'haproxy'])).toMatchObject({
      rounds: 2,
      only: ['haproxy'],
    });
  });

  test('unknown names and senseless numbers are refused', () => {
    expect(() => parseOptions(['--only', 'apache'])).toThrow('--only apache: allowed are holdfast, haproxy');
    expect(() => parseOptions(['--scenario', 'x'])).toThrow('allowed are browser, small, body100k');
    expect(() => parseOptions(['--rounds', '0'])).toThrow('allowed are whole numbers');
  });
});
