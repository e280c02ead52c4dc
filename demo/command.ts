// `holdfast demo`: backends, balancer and admin server by one command.

import { type Command, InvalidArgumentError, Option } from 'commander';

const ARCHITECTURES = ['memory', 'replicated', 'database', 'redis', 'home', 'cookie', 'jwt'];
const STICKY_MODES = ['none', 'cookie-hash', 'cookie-pin', 'learn', 'header-hash', 'address-hash'];

/** Their names are letters. */
const SERVERS_MAX = 26;
const THREADS_MAX = 64;

const NOTES = `
Starts real server processes with a real log-in, a balancer in front of them and its admin server, prints what to
try, and stops everything on Ctrl-C. Only "redis" and "home" need a program that is not in the package
(redis-server).`;

export function register(program: Command): void {
  program
    .command('demo')
    .summary('run a demo: servers, balancer and dashboard')
    .description('Run demo servers of one session architecture behind a balancer.')
    .addOption(
      new Option('--architecture <name>', 'where sessions live').choices(ARCHITECTURES).default('memory'),
    )
    .option('--servers <n>', 'how many servers', parseCount(SERVERS_MAX), 4)
    .addOption(
      new Option('--sticky <mode>', 'affinity; the default fits the architecture').choices(STICKY_MODES),
    )
    .option('--port <n>', "the balancer's port, 0 = any", parsePort, 8080)
    .option('--admin-port <n>', "the admin server's port, 0 = any", parsePort, 9090)
    .option('--backend-port <n>', "the first server's port, 0 = any", parsePort, 3001)
    .option('--tls', 'https, with a certificate that signs itself')
    .option('--threads <n>', 'data-plane threads; one per core when absent', parseCount(THREADS_MAX))
    .addOption(
      new Option('--redis <kind>', 'kind of Redis').choices(['single', 'aof', 'sentinel']).default('single'),
    )
    .option('--synchronous', 'replicated: a change is answered only after all servers have it')
    .option('--deny-list', 'jwt: keep a list of tokens that were logged out')
    .addHelpText('after', NOTES)
    .action(async (options: import('./run-demo.ts').DemoRunOptions) => {
      const { runDemo } = await import('./run-demo.ts');
      process.exitCode = await runDemo(options);
    });
}

function parseCount(max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!Number.isInteger(count) || count < 1 || count > max)
      throw new InvalidArgumentError(`expected 1 to ${max}.`);
    return count;
  };
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError('expected 0 to 65535.');
  return port;
}
