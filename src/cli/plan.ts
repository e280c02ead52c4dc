// `holdfast plan`: what draining, adding or removing a server would do to the sessions of its pool.

import { Argument, type Command } from 'commander';
import type { PlanDocument } from '../admin/source.ts';
import { formatDuration } from '../base/units.ts';
import type { AdminCommandOptions, ServerPath } from './admin-access.ts';
import { addAdminOptions, parseServerPath, parseWeight } from './admin-options.ts';
import { counted, print } from './output.ts';

const ACTIONS = ['drain', 'add', 'remove'] as const;

type PlanOptions = AdminCommandOptions & { readonly weight: number };

export function register(program: Command): void {
  const command = program.command('plan').summary('dry run: what a change would do to the sessions');
  command.description('Predict what draining, adding or removing a server would do. Nothing is changed.');
  command.addArgument(new Argument('<action>', 'the change').choices(ACTIONS));
  command.argument('<pool/server>', 'the server', parseServerPath);
  command.option('--weight <n>', 'of a server to be added', parseWeight, 1);
  addAdminOptions(command).action(async (action: string, given: ServerPath, options: PlanOptions) => {
    const { withAdmin } = await import('./admin-client.ts');
    process.exitCode = await withAdmin(options, async (client) => {
      const path = await client.whole(given);
      const plan = await client.plan(path, action, options.weight);
      print(describePlan(path, plan), { pool: path.pool, ...plan }, options.json);
      return undefined;
    });
  });
}

/** The plan as lines of text. */
export function describePlan({ pool, server }: ServerPath, plan: PlanDocument): readonly string[] {
  const { skewBefore: before, skewAfter: after, seconds } = plan;
  const lost = plan.lost === 0 ? 'none lost' : `${plan.lost} lost`;
  return [
    `${plan.action} ${pool}/${server}, which holds ${counted(plan.sessions, 'session')}: ${plan.moves} would move, ${lost}`,
    `skew ${before.ratio.toFixed(3)} -> ${after.ratio.toFixed(3)} (by chance ${after.floor.toFixed(3)})`,
    `time: ${seconds === null ? 'cannot be told' : `about ${formatDuration(Math.ceil(seconds) * 1_000)}`}`,
    ...plan.notes,
    `afterwards: ${plan.after.map(({ server: name, sessions }) => `${name} ${sessions}`).join(', ')}`,
  ];
}
