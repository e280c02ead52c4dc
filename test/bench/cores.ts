/** Which core does what: the proxy alone on one, load generator and backends on the other. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';

/** Cores for the two sides; null leaves a side where the system puts it. */
export type Cores = { readonly proxy: number | null; readonly load: number | null; readonly text: string };

/** The full path of a program, from PATH and the system folders that PATH may lack; null when absent. */
export function findProgram(name: string): string | null {
  // biome-ignore lint/complexity/useLiteralKeys: an index signature wants the bracket form
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  for (const folder of folders) {
    if (folder.includes('node_modules')) continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  return null;
}

/** Pins when there are two cores, taskset exists and this process may use cores 0 and 1; else says why not. */
export function chooseCores(): Cores {
  const unpinned = (why: string): Cores => ({ proxy: null, load: null, text: `unpinned (${why})` });
  if (availableParallelism() < 2) return unpinned('fewer than two cores');
  const taskset = findProgram('taskset');
  if (taskset === null) return unpinned('no taskset');
  const trial = spawnSync(taskset, ['-c', '0,1', process.execPath, '--version']);
  if (trial.status !== 0) return unpinned('taskset refused');
  return { proxy: 0, load: 1, text: 'proxy on core 0, load generator and backends on core 1' };
}

/** The command, run on that core. `taskset` replaces itself by the command, so the pid is the command's. */
export function pinned(command: readonly string[], core: number | null): readonly string[] {
  const taskset = core === null ? null : findProgram('taskset');
  return taskset === null ? command : [taskset, '-c', String(core), ...command];
}
