// Cookies at their edges. Each text stands between bytes that would make another of it: what is read beyond its end shows.

import { describe, expect, test } from 'vitest';
import { CookieRange, findCookie, nextCookie, parseSetCookie, SetCookie } from '../../src/http1/cookies.ts';

const BESIDE = ['', 'sid=9; ', '=', ';', 'd', '"', 'Max-Age=0', '; Max-Age=0'] as const;
const NOW = Date.UTC(2026, 0, 1);

/** What `read` makes of the text, the same whatever stands before and behind it. */
function everywhere<T>(text: string, read: (buffer: Buffer, begin: number, end: number) => T): T {
  const plain = Buffer.from(text, 'latin1');
  const found = read(plain, 0, plain.length);
  for (const before of BESIDE) {
    for (const behind of BESIDE) {
      const buffer = Buffer.from(before + text + behind, 'latin1');
      const again = read(buffer, before.length, before.length + text.length);
      expect(again, `${text} between ${before} and ${behind}`).toEqual(found);
    }
  }
  return found;
}

const latin1 = (buffer: Buffer, begin: number, end: number): string => buffer.toString('latin1', begin, end);

describe('Cookie', () => {
  const valuesOf = (text: string, name: string, isPrefix = false): readonly string[] =>
    everywhere(text, (buffer, begin, end) => {
      const range = new CookieRange();
      const bytes = Buffer.from(name, 'latin1');
      const values: string[] = [];
      let at = nextCookie(buffer, begin, end, bytes, range, isPrefix);
      for (; at !== -1; at = nextCookie(buffer, at, end, bytes, range, isPrefix)) {
        const shown = latin1(buffer, range.nameBegin, range.nameEnd);
        values.push(`${shown}:${latin1(buffer, range.valueBegin, range.valueEnd)}`);
      }
      return values;
    });

  test.each<readonly [string, readonly string[]]>([
    ['', []],
    ['sid', []],
    ['sid=', ['sid:']],
    ['sid=1', ['sid:1']],
    ['a=1; sid=2', ['sid:2']],
    ['a=1;sid=2;b=3', ['sid:2']],
    ['sid=1; sid=2; sid=3', ['sid:1', 'sid:2', 'sid:3']],
    ['sid=1;sid=2', ['sid:1', 'sid:2']],
    ['  sid \t= 1 \t', ['sid:1']],
    ['xsid=1; sidx=2; SID=3; si=4; =5; sid', []],
    ['sid="q"', ['sid:q']],
    ['sid=""', ['sid:']],
    ['sid="', ['sid:"']],
    ['sid=a"', ['sid:a"']],
    ['sid="a', ['sid:"a']],
    ['sid==a=b=', ['sid:=a=b=']],
    [';;; sid=1', ['sid:1']],
    ['sid;=1', []],
    ['si d=1', []],
  ])('of %j', (text, expected) => expect(valuesOf(text, 'sid')).toEqual(expected));

  test.each<readonly [string, readonly string[]]>([
    ['sess=0; sess1=1; xsess=2; sess_a = 3; ses=4; sessb', ['sess:0', 'sess1:1', 'sess_a:3']],
    ['sess; =1', []],
    ['sess-a;sess-b=2', ['sess-b:2']],
  ])('by the begin of the name: %j', (text, expected) =>
    expect(valuesOf(text, 'sess', true)).toEqual(expected),
  );

  test('no name is none, and they are counted', () => {
    expect(valuesOf('=1; a=2', '')).toEqual([]);
    const buffer = Buffer.from('sid=1; a=2; sid=3');
    const range = new CookieRange();
    expect(findCookie(buffer, 0, buffer.length, Buffer.from('sid'), range)).toBe(2);
    expect(latin1(buffer, range.valueBegin, range.valueEnd)).toBe('1');
    expect(findCookie(buffer, 0, buffer.length, Buffer.from('b'), range)).toBe(0);
    expect(latin1(buffer, range.valueBegin, range.valueEnd)).toBe('1');
  });
});

describe('Set-Cookie', () => {
  const read = (text: string): string | null =>
    everywhere(text, (buffer, begin, end) => {
      const one = new SetCookie();
      one.isDeletion = true;
      if (!parseSetCookie(buffer, begin, end, NOW, one)) return null;
      const [name, value, domain, path] = [
        latin1(buffer, one.nameBegin, one.nameEnd),
        latin1(buffer, one.valueBegin, one.valueEnd),
        latin1(buffer, one.domainBegin, one.domainEnd),
        latin1(buffer, one.pathBegin, one.pathEnd),
      ];
      return `${name}=${value} d${domain} p${path}${one.isDeletion ? ' deleted' : ''}`;
    });

  test.each([
    ['', null],
    ['sid', null],
    ['=1', null],
    [' =1', null],
    ['sid; a=b', null],
    ['; sid=1', null],
    ['sid=', 'sid= d p deleted'],
    ['sid=1', 'sid=1 d p'],
    [' sid \t= 1 ', 'sid=1 d p'],
    ['sid="q"; Path=/', 'sid=q d p/'],
    ['sid=1;Path=/a;Domain=.b.c', 'sid=1 d.b.c p/a'],
    ['sid=1; PATH = /a ; doMain = b ', 'sid=1 db p/a'],
    ['sid=1; Path=/a; Path=/b', 'sid=1 d p/b'],
    ['sid=1; Path', 'sid=1 d p'],
    ['sid=1; Path=; Secure; Pathx=/x; xPath=/y; Domainx=z', 'sid=1 d p'],
    ['sid=1; Path=/a=b', 'sid=1 d p/a=b'],
    ['sid=1; Max-Age=0', 'sid=1 d p deleted'],
    ['sid=1;Max-Age=0', 'sid=1 d p deleted'],
    ['sid=1; max-age = -5 ', 'sid=1 d p deleted'],
    ['sid=1; Max-Age=1', 'sid=1 d p'],
    ['sid=1; Max-Age=0x', 'sid=1 d p'],
    ['sid=1; Max-Age=x0', 'sid=1 d p'],
    ['sid=1; Max-Age="0"', 'sid=1 d p'],
    ['sid=1; Max-Age=', 'sid=1 d p'],
    ['sid=1; Max-Age', 'sid=1 d p'],
    ['sid=1; Max-Age=0; Max-Age=9', 'sid=1 d p'],
    ['sid=1; Max-Age=9; Max-Age=0', 'sid=1 d p deleted'],
    ['sid=1; Max-Age=0; Max-Age=never', 'sid=1 d p deleted'],
    ['sid=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT', 'sid=1 d p deleted'],
    ['sid=1; expires = Thu, 01 Jan 2026 00:00:00 GMT ', 'sid=1 d p deleted'],
    ['sid=1; Expires=Thu, 01 Jan 2026 00:00:01 GMT', 'sid=1 d p'],
    ['sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Expires=never', 'sid=1 d p deleted'],
    ['sid=1; Expires=never', 'sid=1 d p'],
    ['sid=1; Expires=0', 'sid=1 d p'],
    ['sid=1; Expires=-1', 'sid=1 d p'],
    ['sid=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=9', 'sid=1 d p'],
    ['sid=1; Max-Age=0; Expires=Thu, 01 Jan 2099 00:00:00 GMT', 'sid=1 d p deleted'],
    ['sid=1; Xpires=Thu, 01 Jan 1970 00:00:00 GMT', 'sid=1 d p'],
  ])('%j', (text, expected) => expect(read(text)).toBe(expected));
});
