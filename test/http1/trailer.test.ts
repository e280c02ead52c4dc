import { expect, test } from 'vitest';
import { FIELD_NAMES, fieldOfName } from '../../src/http1/field-names.ts';
import { FORWARDING_CUT, isCutFromRequest } from '../../src/http1/hop-by-hop.ts';
import { isTrailerAllowed } from '../../src/http1/trailer.ts';

/** Members of the families that are many, beside the fields that are known by name. */
const FAMILY = ['x-forwarded', 'x-forwarded-', 'x-forwarded-by', 'x-forwarded-user', 'x-holdfast-session'];

function spellingsOf(name: string): string[] {
  return [name, name.toUpperCase(), name.replaceAll('-', '_'), name.replace('-', '_')];
}

test('what no client may set in a head it may not set in a trailer either, in whatever spelling', () => {
  const isDropped = (name: string): boolean => {
    const field = fieldOfName(Buffer.from(name), 0, name.length);
    return isCutFromRequest(field) || FORWARDING_CUT[field] === 1;
  };
  const dropped = [...Object.keys(FIELD_NAMES), ...FAMILY].flatMap(spellingsOf).filter(isDropped);
  expect(dropped.length).toBeGreaterThan(40);
  expect(dropped.filter(isTrailerAllowed)).toEqual([]);
});
