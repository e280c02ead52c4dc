// `holdfast reload`: what the new revision changes, one line each.

import type { AdminCommandOptions } from './admin-access.ts';
import { AdminRefusal, withAdmin } from './admin-client.ts';
import { EXIT_OK } from './exit.ts';
import { print } from './output.ts';

/** Returns the exit status. */
export function reload(options: AdminCommandOptions): Promise<number> {
  return withAdmin(options, async (client) => {
    const answer = await client.reload().catch((error: unknown) => {
      if (!(error instanceof AdminRefusal) || error.code !== 'conflict') throw error;
      throw new AdminRefusal(error.code, `reload refused, nothing has changed: ${error.message}`);
    });
    const { revision, changes } = answer;
    print(
      [`revision ${revision}`, ...(changes.length === 0 ? ['no changes'] : changes)],
      answer,
      options.json,
    );
    return EXIT_OK;
  });
}
