// biome-ignore-all lint/suspicious/noTemplateCurlyInString: substitution is what is tested
// Substitution of environment variables in a text.

import { describe, expect, test } from 'vitest';
import { substitute } from '../../src/config/substitute.ts';

const ENV = { NAME: 'value', EMPTY: '', NESTED: '${NAME}' };

describe('substitute', () => {
  test.each([
    ['plain', 'plain'],
    ['${NAME}', 'value'],
    ['a${NAME}b${NAME}c', 'avaluebvaluec'],
    ['${NONE:-default}', 'default'],
    ['${NONE:-}', ''],
    ['${EMPTY:-default}', 'default'],
    ['${EMPTY}', ''],
    ['${NAME:-default}', 'value'],
    ['${NONE:-a:-b}', 'a:-b'],
    ['${NESTED}', '${NAME}'],
    ['$${NAME}', '${NAME}'],
    ['$${', '${'],
    ['$$${NAME}', '$${NAME}'],
    ['$NAME $ {NAME} $', '$NAME $ {NAME} $'],
    ['${NAME}}', 'value}'],
  ])('%s becomes %s', (text, result) => {
    expect(substitute(text, ENV)).toEqual({ text: result, problems: [] });
  });

  test.each(['${NONE}', '${toString}', '${}', '${ NAME }', '${1}', '${NAME', 'x ${', '${NAME-x}', '${N.A}'])(
    '%s is refused',
    (text) => {
      expect(substitute(text, ENV).problems).toHaveLength(1);
    },
  );

  test('every problem of a text is named', () => {
    expect(substitute('${A}${NAME}${B}', ENV).problems.map(({ written }) => written)).toEqual([
      '${A}',
      '${B}',
    ]);
  });
});
