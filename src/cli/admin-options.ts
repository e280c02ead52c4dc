// What all admin commands share on the command line: where the admin API is, the token, POOL/SERVER.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../base/units.ts';
import { WEIGHT_MAX } from '../config/limits.ts';
import type { ServerPath } from './admin-access.ts';

export const ADMIN_URL_DEFAULT = 'http://127.0.0.1:9090';

/** Exit statuses, for the help of every admin command. */
export const ADMIN_NOTES = `
Exit status: 0 done, 1 refused or the admin server cannot be reached, 2 wrong usage.`;

/** Adds --admin, --token and --json. */
export function addAdminOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--admin <url>', 'address of the admin API')
        .env('HOLDFAST_ADMIN_URL')
        .default(ADMIN_URL_DEFAULT)
        .argParser(parseAdminUrl),
    )
    .addOption(
      new Option('--token <token>', 'token of the admin API, needed for changes when one is configured')
        .env('HOLDFAST_ADMIN_TOKEN')
        .default('', 'none'),
    )
    .option('--json', 'print JSON, for scripts')
    .addHelpText('after', ADMIN_NOTES);
}

/** `POOL/SERVER`, or `SERVER` of the only pool: its name is '' then. A server's name may have slashes, a pool's has none. */
export function parseServerPath(text: string): ServerPath {
  const slash = text.indexOf('/');
  if (slash < 0 && text !== '') return { pool: '', server: text };
  if (slash < 1 || slash === text.length - 1) {
    throw new InvalidArgumentError('expected POOL/SERVER, e.g. shop/a (see "holdfast status").');
  }
  return { pool: text.slice(0, slash), server: text.slice(slash + 1) };
}

export function parseDeadline(text: string): number {
  const deadlineMs = parseDuration(text);
  if (deadlineMs === null) throw new InvalidArgumentError('expected a duration such as 30s, 10m or 1h30m.');
  return deadlineMs;
}

export function parseWeight(text: string): number {
  const weight = text.trim() === '' ? Number.NaN : Number(text);
  if (!(weight >= 0 && weight <= WEIGHT_MAX)) throw new InvalidArgumentError(`expected 0 to ${WEIGHT_MAX}.`);
  return weight;
}

/** With or without `http://`; no path. */
export function parseAdminUrl(text: string): string {
  const withScheme = /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    throw new InvalidArgumentError(`expected a URL such as ${ADMIN_URL_DEFAULT}.`);
  }
  // refused by the client, with a message that does not repeat the password
  return url.username !== '' || url.password !== '' ? url.href : url.origin;
}
