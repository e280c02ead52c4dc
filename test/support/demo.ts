// `holdfast demo` as a process, and visitors who keep coming.

import { onTestFinished } from 'vitest';
import { Visitor } from '../demo/visitor.ts';
import { type RunningCommand, startCommand } from './command.ts';
import { eventually } from './eventually.ts';

export interface RunningDemo {
  readonly command: RunningCommand;
  readonly url: string;
  readonly adminUrl: string;
  /** Process ids of the servers by name. */
  readonly pids: ReadonlyMap<string, number>;
}

/** Starts the demo on ports that the kernel chooses; it is stopped when the test ends. */
export async function runDemo(...args: readonly string[]): Promise<RunningDemo> {
  const ports = ['--port', '0', '--admin-port', '0', '--backend-port', '0'];
  const command = startCommand(['demo', ...ports, ...args]);
  onTestFinished(async () => {
    command.child.kill('SIGTERM');
    await command.ended;
  });
  await eventually(
    () => {
      const { exitCode } = command.child;
      if (exitCode !== null)
        throw new Error(`the demo ended with ${exitCode}: ${command.out()}${command.err()}`);
      return command.out().includes('Ctrl-C stops everything.');
    },
    { deadlineMs: 60_000, what: () => `the demo to start; it said ${command.out()}${command.err()}` },
  );
  const line = (pattern: RegExp): string => pattern.exec(command.out())?.[1] ?? '';
  const servers = command.out().matchAll(/^ {2}server (\w+) +http:\S+ +pid (\d+)$/gm);
  return {
    command,
    url: line(/^listening on (\S+)$/m),
    adminUrl: line(/^admin on (\S+)$/m),
    pids: new Map([...servers].map(([, name = '', pid]) => [name, Number(pid)])),
  };
}

const LANES = 4;
const PAUSE_MS = 20;

/** Logs so many visitors in and keeps them coming, whatever they get; ends with the test. */
export async function visitDemo(url: string, count: number): Promise<void> {
  const visitors = Array.from({ length: count }, () => new Visitor());
  await Promise.all(visitors.map((visitor, index) => visitor.login(url, `user${index + 1}`)));
  let isOver = false;
  const lane = async (first: number): Promise<void> => {
    for (let turn = first; !isOver; turn += LANES) {
      // while servers are being killed, requests fail: that is what is to be seen
      await visitors[turn % count]?.get(`${url}/whoami`).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  const lanes = Array.from({ length: LANES }, (_, first) => lane(first));
  onTestFinished(async () => {
    isOver = true;
    await Promise.all(lanes);
  });
}
