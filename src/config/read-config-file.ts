// The one place where the configuration touches the disk.

import { readFile, stat } from 'node:fs/promises';
import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/message-of.ts';
import { realFiles } from '../tls/files.ts';
import { type Loaded, loadConfig } from './load.ts';
import { withNamedFiles } from './named-files.ts';
import { type SourceOptions, TEXT_LENGTH_MAX } from './source.ts';

/** Reads and checks the file. A file that cannot be read is a problem like any other, without a line. Never throws. */
export async function readConfigFile(
  path: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<Loaded> {
  try {
    const { size } = await stat(path);
    if (size > TEXT_LENGTH_MAX)
      return unreadable(path, `the file has ${size} bytes, at most ${TEXT_LENGTH_MAX} are read`);
    const files = realFiles(systemClock.wallMs());
    const loaded = loadConfig(await readFile(path, 'utf8'), { file: path, env, files });
    return withNamedFiles(loaded, path, files);
  } catch (error) {
    return unreadable(path, reasonOf(error));
  }
}

/** Reads and checks a configuration that is no file; those that it names are found from the working directory. */
export function readConfigText(text: string, options: Omit<SourceOptions, 'files'>): Loaded {
  return withNamedFiles(loadConfig(text, options), options.file, realFiles(systemClock.wallMs()));
}

function unreadable(file: string, message: string): Loaded {
  return { config: null, problems: [{ file, line: 0, column: 0, message }], warnings: [], written: [] };
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'the file does not exist';
  if (code === 'EACCES') return 'the file may not be read by this user';
  if (code === 'EISDIR') return 'this is a directory, expected a file';
  return `the file cannot be read: ${messageOf(error)}`;
}
