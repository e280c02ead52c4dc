// The program without its process. It is bundled beside the program (launcher.ts), since worker threads that read the
// sources one by one cost more than most tests.

import { readConfigFile } from '../../src/config/read-config-file.ts';
import { type RunningBalancer, startBalancer } from '../../src/run/foreground.ts';
import { createLogger } from '../../src/run/logger.ts';

/** For who makes the configuration and the log. */
export const start: typeof startBalancer = startBalancer;

export interface ProgramOptions {
  readonly configFile: string;
  readonly threads: number | null;
  readonly onAnnounced: (line: string) => void;
  readonly onLog: (line: string) => void;
}

/** What `holdfast run` starts. Rejects with what is wrong with the configuration, or with StartError. */
export async function startProgram(options: ProgramOptions): Promise<RunningBalancer> {
  const { configFile, threads, onAnnounced, onLog } = options;
  const { config, problems } = await readConfigFile(configFile);
  if (config === null) throw new Error(problems.map(({ line, message }) => `${line}: ${message}`).join('\n'));
  const log = createLogger('info', { isTerminal: false, write: onLog, onRead: () => undefined });
  return startBalancer(config, log, threads, onAnnounced, configFile);
}
