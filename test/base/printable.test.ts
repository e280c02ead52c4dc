import { expect, test } from 'vitest';
import { printable } from '../../src/base/printable.ts';

test('what a terminal would obey is shown, the rest stays as it is', () => {
  expect(printable('down: \u001b[2Jname\r\n\u0007\u009b1m')).toBe('down: \\x1b[2Jname\\x0d\\x0a\\x07\\x9b1m');
  expect(printable('ä–✓ "quoted" \\x')).toBe('ä–✓ "quoted" \\x');
});
