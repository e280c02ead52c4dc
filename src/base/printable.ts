// Text of others on its way to a terminal: nothing in it is obeyed, and it is known how wide it will be.

/** What a terminal would obey instead of showing it: controls, ends of lines, and what turns the order of reading round. */
const OBEYED = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const PLAIN = /^[ -~]*$/;

/** Two columns: East Asian Wide and Fullwidth of Unicode's EastAsianWidth.txt. Half a flag is one of them. */
const WIDE =
  /[[\p{Emoji_Presentation}--\p{Regional_Indicator}]\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u3247\u3250-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]/v;
/** None of its own: it stands on, or changes, what is before it. The letters of Hangul are those that end a syllable. */
const ON_TOP = /[[\p{Mn}\p{Me}\p{Cf}\p{Emoji_Modifier}\u1160-\u11ff\ud7b0-\ud7ff]--\u00ad]/v;
const JOINER = '\u200d';

/** One line, each character that a terminal would obey as `\xNN` or `\u{NNNN}`: a server's reason must not move the cursor. */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(OBEYED, (character) => {
    const code = character.charCodeAt(0).toString(16);
    return code.length > 2 ? `\\u{${code}}` : `\\x${code.padStart(2, '0')}`;
  });
}

/** Columns that a terminal gives to printable text. */
export function widthOf(text: string): number {
  return PLAIN.test(text) ? text.length : fittingIn(text, Number.POSITIVE_INFINITY).width;
}

/** The longest beginning that is no wider than so many columns; what stands on its last character comes along. */
export function beginningOf(text: string, columns: number): string {
  if (PLAIN.test(text)) return text.slice(0, Math.max(0, columns));
  return text.slice(0, fittingIn(text, columns).length);
}

/** How much of the text fits, in UTF-16 units, and how wide that is. */
function fittingIn(text: string, columns: number): { readonly length: number; readonly width: number } {
  let length = 0;
  let width = 0;
  let before = '';
  for (const character of text) {
    // a family is one picture: what is joined to the first is shown in its place
    const own = ON_TOP.test(character) || before === JOINER ? 0 : WIDE.test(character) ? 2 : 1;
    if (width + own > columns) break;
    width += own;
    length += character.length;
    before = character;
  }
  return { length, width };
}
