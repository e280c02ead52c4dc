// `holdfast events`: what happened, a line for each event, and with --follow what happens.

import { systemClock } from '../base/clock.ts';
import { dayAndTime } from '../base/units.ts';
import type { KeptEvent } from '../control/event-log.ts';
import type { AdminCommandOptions } from './admin-access.ts';
import { withAdmin } from './admin-client.ts';
import { EXIT_OK } from './exit.ts';
import { followEvents } from './follow.ts';
import { print } from './output.ts';

/** Returns the exit status; with --follow only when nobody can be asked (any more). */
export function showEvents(options: AdminCommandOptions & { readonly follow?: boolean }): Promise<number> {
  const show = (event: KeptEvent): void => {
    print([eventLine(event)], event, options.json);
  };
  return withAdmin(options, async (client) => {
    if (options.follow !== true) for (const event of await client.recentEvents()) show(event);
    else await followEvents(client, show);
    return EXIT_OK;
  });
}

/** `22:04:39 WARN shop/b down: connection refused`, in local time; with the day when it is not today. Pure. */
export function eventLine(event: KeptEvent, nowMs: number = systemClock.wallMs()): string {
  const at = dayAndTime(Date.parse(event.at), nowMs);
  const where = [event['pool'], event['server']].filter((part) => typeof part === 'string').join('/');
  const { level, text } = told(event);
  const by = typeof event['by'] === 'string' ? ` (by ${event['by']})` : '';
  return `${at} ${level} ${where === '' ? '' : `${where} `}${text}${by}`;
}

function told(event: KeptEvent): { readonly level: 'INFO' | 'WARN' | 'ERROR'; readonly text: string } {
  const { type } = event;
  if (type === 'verdict') {
    const isWell = event['to'] === 'up' || event['to'] === 'starting';
    const why = event['reason'] === '' ? '' : `: ${event['reason']}`;
    return { level: isWell ? 'INFO' : 'WARN', text: `${event['to']}${why}` };
  }
  if (type === 'rebalance') return { level: 'INFO', text: `rebalancing ${event['to']}: ${event['why']}` };
  if (type === 'reload' || type === 'discovery' || type === 'certificates') {
    if (event['ok'] !== true)
      return { level: 'ERROR', text: `${type} refused: ${String(event['message']).replaceAll('\n', '; ')}` };
    const changes = Array.isArray(event['changes']) ? event['changes'].join('; ') : '';
    return {
      level: 'INFO',
      text: `${type}, revision ${event['revision']}${changes === '' ? '' : `: ${changes}`}`,
    };
  }
  const said = Object.entries(event).filter(
    ([name, value]) =>
      !['type', 'at', 'number', 'pool', 'server', 'slot', 'by'].includes(name) && typeof value !== 'object',
  );
  const words = said.map(([name, value]) => `${name} ${value}`).join(', ');
  return { level: 'INFO', text: type === 'server' ? words : `${type} ${words}`.trim() };
}
