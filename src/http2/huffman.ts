// The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B). It is canonical, so the lengths say all. Decoding goes by
// half bytes: from a node of the tree four bits lead to another, past one symbol at most, as none is shorter than five.

const EOS = 256;

/** Bits of each symbol's code, EOS last. */
// biome-ignore format: a table
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const BITS = Uint8Array.from(LENGTHS);
const CODES = canonicalCodes();

function canonicalCodes(): Uint32Array {
  const codes = new Uint32Array(LENGTHS.length);
  const inOrder = [...LENGTHS.keys()].sort(
    (first, second) => (BITS[first] as number) - (BITS[second] as number) || first - second,
  );
  let code = 0;
  let bits = 0;
  for (const symbol of inOrder) {
    const length = BITS[symbol] as number;
    code = bits === 0 ? 0 : (code + 1) * 2 ** (length - bits);
    bits = length;
    codes[symbol] = code;
  }
  return codes;
}

/** What four bits lead to: node in the low 9 bits, then the symbol, then whether there is one; NOWHERE past EOS. */
const STEPS = new Uint32Array(257 * 16);
const SYMBOL_SHIFT = 9;
const HAS_SYMBOL = 1 << 17;
const NOWHERE = 1 << 18;
/** 1 for a node at which text may end: fewer than eight bits on the way to EOS. */
const MAY_END = new Uint8Array(257);

buildSteps();

function buildSteps(): void {
  const left: number[] = [0];
  const right: number[] = [0];
  // a leaf is -1 - symbol
  for (let symbol = 0; symbol <= EOS; symbol += 1) {
    let node = 0;
    for (let bit = (BITS[symbol] as number) - 1; bit >= 0; bit -= 1) {
      const branch = ((CODES[symbol] as number) >>> bit) & 1 ? right : left;
      if (bit === 0) branch[node] = -1 - symbol;
      else {
        if (branch[node] === 0) {
          branch[node] = left.push(0) - 1;
          right.push(0);
        }
        node = branch[node] as number;
      }
    }
  }
  for (let node = 0; node < left.length; node += 1)
    for (let nibble = 0; nibble < 16; nibble += 1)
      STEPS[node * 16 + nibble] = stepFrom(left, right, node, nibble);
  for (let node = 0, depth = 0; depth < 8; depth += 1, node = right[node] as number) MAY_END[node] = 1;
}

function stepFrom(left: readonly number[], right: readonly number[], from: number, nibble: number): number {
  let node = from;
  let found = 0;
  for (let bit = 3; bit >= 0; bit -= 1) {
    node = ((nibble >> bit) & 1 ? right[node] : left[node]) as number;
    if (node >= 0) continue;
    const symbol = -1 - node;
    if (symbol === EOS) return NOWHERE;
    found = HAS_SYMBOL | (symbol << SYMBOL_SHIFT);
    node = 0;
  }
  return found | node;
}

/** Decodes bytes[begin, end) into `to`, which has room for 8/5 of them. Returns the number of bytes, -1 when they are no such code. */
export function decodeHuffman(bytes: Buffer, begin: number, end: number, to: Buffer): number {
  const steps = STEPS;
  let node = 0;
  let length = 0;
  for (let at = begin; at < end; at += 1) {
    const byte = bytes[at] as number;
    let step = steps[node * 16 + (byte >> 4)] as number;
    if (step >= HAS_SYMBOL) {
      if (step >= NOWHERE) return -1;
      to[length] = step >> SYMBOL_SHIFT;
      length += 1;
    }
    step = steps[(step & 511) * 16 + (byte & 15)] as number;
    if (step >= HAS_SYMBOL) {
      if (step >= NOWHERE) return -1;
      to[length] = step >> SYMBOL_SHIFT;
      length += 1;
    }
    node = step & 511;
  }
  return MAY_END[node] === 1 ? length : -1;
}

/** Bytes that the text takes, coded. Code points 0 to 255. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at += 1) bits += BITS[text.charCodeAt(at)] as number;
  return (bits + 7) >> 3;
}

/** Writes the text coded; returns the offset past it. */
export function encodeHuffman(text: string, to: Buffer, begin: number): number {
  let at = begin;
  let held = 0;
  let heldBits = 0;
  for (let index = 0; index < text.length; index += 1) {
    const symbol = text.charCodeAt(index);
    let bits = BITS[symbol] as number;
    const code = CODES[symbol] as number;
    // at most 7 bits are held: what would not fit in 31 goes in two
    if (bits > 24) {
      bits -= 16;
      held = (held << bits) | (code >>> 16);
      heldBits += bits;
      for (; heldBits >= 8; heldBits -= 8, at += 1) to[at] = held >> (heldBits - 8);
      held &= 255;
      bits = 16;
    }
    held = (held << bits) | (bits === 16 ? code & 0xffff : code);
    heldBits += bits;
    for (; heldBits >= 8; heldBits -= 8, at += 1) to[at] = held >> (heldBits - 8);
    held &= 255;
  }
  if (heldBits === 0) return at;
  to[at] = (held << (8 - heldBits)) | (255 >> heldBits);
  return at + 1;
}
