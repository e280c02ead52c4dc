// HAProxy and nginx as they come from Debian, with a configuration of the test's own.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { eventually } from './eventually.ts';

const TIMES = 'defaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n';

/** Runs until the test ends; resolves when `port` can be connected to. */
export function runHaproxy(program: string, config: string, port: number): Promise<void> {
  return run(
    program,
    (file) => ['-db', '-f', file],
    () => `${TIMES}${config}\n`,
    port,
  );
}

/** `config`: what stands in its `http` block. */
export function runNginx(program: string, config: string, port: number): Promise<void> {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const whole = (directory: string): string =>
    [
      `pid ${directory}/pid; error_log stderr; daemon off; master_process off; events {}`,
      'http { access_log off;',
      ...kinds.map((kind) => `${kind}_temp_path ${directory}/${kind};`),
      `${config} }`,
    ].join('\n');
  return run(program, (file) => ['-e', 'stderr', '-c', file], whole, port);
}

async function run(
  program: string,
  args: (file: string) => readonly string[],
  config: (directory: string) => string,
  port: number,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-other-'));
  const file = join(directory, 'config');
  writeFileSync(file, config(directory));
  const child = spawn(program, args(file), { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let failure: Error | null = null;
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  child.stdout.resume();
  const exit = new Promise<void>((resolve) => {
    // one that could not be started never exits
    child.on('error', (error) => {
      failure = error;
      resolve();
    });
    child.on('exit', (status) => {
      failure ??= new Error(`${program} ended with ${status}: ${said}`);
      resolve();
    });
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exit;
    rmSync(directory, { recursive: true });
  });
  const isThere = (): Promise<boolean> => {
    if (failure !== null) throw failure;
    return isOpen(port);
  };
  await eventually(isThere, { what: () => `${program} on ${port}; it said ${said}` });
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}
