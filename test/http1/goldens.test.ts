// Every golden case, whole and cut at every byte. `UPDATE=1` rewrites the expected results: read the diff.

import fs from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { CHUNKED_LIMITS } from '../../src/http1/chunked.ts';
import { GOLDENS, type GoldenCase, readGoldens, writeResults } from './golden-file.ts';
import * as render from './render.ts';

const NOW_MS = Date.parse('2026-01-01T00:00:00Z');
const PADDING = Buffer.from('\r\nHost: x; sid=no\r\n');
const { UPDATE } = process.env as { readonly UPDATE?: string };
const isUpdating = UPDATE === '1';

/** Renders the case's bytes as they stand at begin..end of that buffer. */
function renderRange(golden: GoldenCase, bytes: Buffer, begin: number, end: number): string {
  const { kind, options } = golden;
  const limits = {
    headBytesMax: Number(options.get('headBytesMax') ?? render.LIMITS.headBytesMax),
    headerCountMax: Number(options.get('headerCountMax') ?? render.LIMITS.headerCountMax),
    watched: options.get('watched')?.split(',') ?? [],
  };
  if (kind === 'request') return render.renderRequest(bytes, begin, end, limits);
  if (kind === 'response')
    return render.renderResponse(bytes, begin, end, limits, options.get('to') === 'HEAD');
  if (kind === 'chunked') return renderPieces(golden, [bytes.subarray(begin, end)]);
  if (kind === 'cookie') return render.renderCookie(bytes, begin, end, options.get('name') ?? 'sid');
  if (kind === 'set-cookie') return render.renderSetCookie(bytes, begin, end, NOW_MS);
  throw new Error(`unknown kind of golden: ${kind}`);
}

function renderPieces(golden: GoldenCase, pieces: readonly Buffer[]): string {
  const own = Object.fromEntries([...golden.options].map(([key, value]) => [key, Number(value)]));
  return render.renderChunked(pieces, { ...CHUNKED_LIMITS, ...own });
}

function renderWhole(golden: GoldenCase): string {
  return renderRange(golden, golden.bytes, 0, golden.bytes.length);
}

/** A growing head: incomplete until the byte that decides, and from then on the whole's outcome. */
function expectSameWhenCut(golden: GoldenCase): void {
  const whole = renderWhole(golden);
  const accepted = /^accepted (\d+) bytes, (\d+) left/.exec(whole);
  let isDecided = false;
  for (let cut = 0; cut <= golden.bytes.length; cut += 1) {
    const part = renderRange(golden, Buffer.from(golden.bytes.subarray(0, cut)), 0, cut);
    if (accepted !== null) {
      const consumed = Number(accepted[1]);
      const left = `accepted ${consumed} bytes, ${cut - consumed} left`;
      expect(part, `cut at ${cut}`).toBe(cut < consumed ? 'incomplete' : whole.replace(accepted[0], left));
    } else if (isDecided || part !== 'incomplete') {
      isDecided = true;
      expect(part, `cut at ${cut}`).toBe(whole);
    }
  }
  expect(isDecided || accepted !== null || whole === 'incomplete').toBe(true);
}

function expectSameInPieces(golden: GoldenCase): void {
  const { bytes } = golden;
  const whole = renderWhole(golden);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    expect(renderPieces(golden, [bytes.subarray(0, cut), bytes.subarray(cut)]), `cut at ${cut}`).toBe(whole);
  }
  const single = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1));
  expect(renderPieces(golden, single), 'byte by byte').toBe(whole);
}

/** The same bytes in the middle of a larger buffer. */
function expectSameElsewhere(golden: GoldenCase): void {
  const bytes = Buffer.concat([PADDING, golden.bytes, PADDING]);
  const there = renderRange(golden, bytes, PADDING.length, PADDING.length + golden.bytes.length);
  expect(there).toBe(renderWhole(golden));
}

const files = fs.readdirSync(GOLDENS).filter((file) => file.endsWith('.md'));

describe.each(files)('%s', (file) => {
  const cases = readGoldens(file);

  it.each(cases.map((golden) => [golden.title, golden] as const))('%s', (_, golden) => {
    if (!isUpdating) expect(renderWhole(golden)).toBe(golden.expected);
    expectSameElsewhere(golden);
    if (golden.kind === 'chunked') expectSameInPieces(golden);
    else if (golden.kind === 'request' || golden.kind === 'response') expectSameWhenCut(golden);
  });

  afterAll(() => {
    if (isUpdating) writeResults(file, cases.map(renderWhole));
  });
});

it('there are enough cases to speak of', () => {
  const titles = files.flatMap((file) => readGoldens(file).map((golden) => golden.title));
  expect(new Set(titles).size).toBe(titles.length);
  expect(titles.length).toBeGreaterThanOrEqual(150);
});
