// Operation under load, in full: 500 requests a second for a minute, 30 reloads, a drain, two replacements of the process.
//
//   node test/soak/operate.ts [--seconds 60]        exit 1 when anything was noticed

import { parseArgs } from 'node:util';
import { forProgram } from '../support/lifetime.ts';
import { complaints, operate, PER_SECOND } from '../support/operate.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string' } } });
const report = await forProgram(() => operate(Number(values.seconds ?? 60)));
const found = complaints(report);
if (report.perSecond < PER_SECOND * 0.9) found.push('the machine was too slow for the rate');
process.stdout.write(`${JSON.stringify({ ...report, complaints: found }, null, 2)}\n`);
process.exit(found.length === 0 ? 0 : 1);
