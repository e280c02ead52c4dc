// `holdfast explain`: which server a request would go to, and why.

import { isIP } from 'node:net';
import { type Command, InvalidArgumentError } from 'commander';
import type { ExplainDocument } from '../admin/source.ts';
import type { AdminCommandOptions } from './admin-access.ts';
import { addAdminOptions } from './admin-options.ts';

/** Servers of one reason; the rest is counted. */
const NAMED_MAX = 10;

type ExplainOptions = AdminCommandOptions & {
  readonly pool?: string;
  readonly cookie: string;
  readonly header: Readonly<Record<string, string>>;
  readonly ip: string;
  readonly target: string;
};

export function register(program: Command): void {
  const command = program.command('explain').summary('which server a request would go to, and why');
  command.description('Explain where a request would go. Nothing is changed, no request is sent.');
  command.option('--pool <pool>', 'the pool; the only one when absent');
  command.option('--cookie <value>', "value of the pool's cookie, or a whole Cookie header (a=1; b=2)", '');
  command.option('--header <name:value>', 'a request header; may be given several times', addHeader, {});
  command.option('--ip <address>', "the client's address", parseAddress, '');
  command.option('--target <path>', 'path and query, where sticky.from reads keys there', '/');
  addAdminOptions(command).action(async (options: ExplainOptions) => {
    const { withAdmin } = await import('./admin-client.ts');
    const { print } = await import('./output.ts');
    process.exitCode = await withAdmin(options, async (client) => {
      const { cookie, header: headers, ip, target } = options;
      const pool = options.pool ?? (await client.onlyPool(''));
      const explanation = await client.explain(pool, { cookie, headers, ip, target });
      print(describeExplanation(explanation), { pool, ...explanation }, options.json);
      return undefined;
    });
  });
}

/** The explanation as lines of text. */
export function describeExplanation(explanation: ExplainDocument): readonly string[] {
  const { server, outcome, move } = explanation;
  return [
    `${server ?? 'no server'} (outcome ${outcome}${move === null ? '' : `, move by ${move}`})`,
    ...explanation.reasons.map((reason) => `- ${reason}`),
    ...othersByReason(explanation.others),
  ];
}

/** Those of one reason on one line, however many there are. */
function othersByReason(others: ExplainDocument['others']): readonly string[] {
  return [...Map.groupBy(others, ({ why }) => why)].map(([why, servers]) => {
    const named = servers.slice(0, NAMED_MAX).map(({ server }) => server);
    const more = servers.length - named.length;
    return `  not ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}: ${why}`;
  });
}

function parseAddress(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError('expected an IP address such as 192.0.2.7 or ::1.');
  return text;
}

function addHeader(text: string, before: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const colon = text.indexOf(':');
  if (colon < 1) throw new InvalidArgumentError('expected NAME:VALUE.');
  return { ...before, [text.slice(0, colon).trim()]: text.slice(colon + 1).trim() };
}
