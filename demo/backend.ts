// One demo backend process: reads its flags, serves the application and the lab's port, ends on SIGTERM or when
// its parent dies. Run as `node demo/backend.ts --architecture memory --name a --port 0`.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../src/base/clock.ts';
import { createApp } from './app.ts';
import { type BackendOptions, parseBackendFlags } from './flags.ts';
import { GracefulServer } from './graceful.ts';
import { createLabApp } from './lab-server.ts';
import { chooseLayer } from './layers/choose.ts';
import { attachEcho, TickSource, tickText } from './streams.ts';
import { LoginThrottle } from './throttle.ts';
import { DEMO_PASSWORD, hashPassword, localDirectory, PasswordChecker } from './users.ts';

/** How long requests in flight may take after SIGTERM before they are cut. */
const FINISH_MS_MAX = 5000;

const parsed = parseBackendFlags(process.argv.slice(2), process.env);
if ('problems' in parsed) {
  for (const problem of parsed.problems) process.stderr.write(`${problem}\n`);
  process.exit(2);
}
await serve(parsed.options);

async function serve(options: BackendOptions): Promise<void> {
  let phase: 'starting' | 'ready' | 'draining' = 'starting';
  const delay = { ms: options.storeDelayMs };
  const announceLine = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  const { layer, directory } = await chooseLayer(options, {
    storeDelayMs: () => delay.ms,
    announce: announceLine,
  });
  const record = await hashPassword(DEMO_PASSWORD, options.scryptCost);
  const passwords = new PasswordChecker(directory ?? localDirectory(record, options.userCount), record);
  const throttle = new LoginThrottle(options.loginFailuresMax, options.loginWindowMs);
  const ticks = new TickSource((count) => tickText(options.name, count));
  const app = createApp({ options, layer, passwords, throttle, ticks, phase: () => phase });
  const server = await listen(app, options.host, options.port, 'port');
  const labServer = await listen(
    createLabApp(options, layer, delay),
    '127.0.0.1',
    options.statsPort,
    'stats-port',
  );
  const graceful = new GracefulServer(server);
  const endEcho = attachEcho(server, options.name);
  const stop = async (): Promise<void> => {
    if (phase === 'draining') return;
    phase = 'draining';
    graceful.announceClose();
    const cut = setTimeout(() => process.exit(1), options.graceMs + FINISH_MS_MAX);
    await new Promise((resolve) => setTimeout(resolve, options.graceMs));
    const closed = graceful.close();
    ticks.end();
    endEcho();
    await closed;
    labServer.close();
    labServer.closeAllConnections();
    await layer.end();
    clearTimeout(cut);
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
  // A backend must not outlive the demo that started it.
  if (process.send !== undefined) process.on('disconnect', () => process.exit(0));
  announce('listening on', server);
  announce('stats on', labServer);
  const beganMs = systemClock.nowMs();
  await layer.begin();
  if (phase === 'starting') phase = 'ready';
  process.stdout.write(`ready after ${Math.round(systemClock.nowMs() - beganMs)} ms\n`);
}

function announce(what: string, server: Server): void {
  const { address, port } = server.address() as AddressInfo;
  process.stdout.write(`${what} http://${address}:${port}\n`);
}

function listen(handler: RequestListener, host: string, port: number, flag: string): Promise<Server> {
  const server = createServer({ keepAliveTimeout: 60_000, maxHeaderSize: 65_536 }, handler);
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${error.message})`;
      process.stderr.write(`port ${port} on ${host} ${why}; choose another with --${flag}\n`);
      process.exit(1);
    });
    server.listen(port, host, () => resolve(server));
  });
}
