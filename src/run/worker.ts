// Entry of a worker thread: one ProxyThread, driven by messages from main.

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../base/clock.ts';
import type { LogLevel } from '../base/log.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { ProxyThread } from '../proxy/thread.ts';
import type { Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import { observeGcPauses } from './gc-pauses.ts';
import type { Descriptors, FromWorker, ListenFailed, ToWorker, WorkerData } from './messages.ts';
import { listenMessage } from './ports.ts';
import { ownThreadId } from './thread-time.ts';

const data = workerData as WorkerData;
const port = parentPort;
if (port === null) throw new Error('run/worker.ts is started by the supervisor as a worker thread');

function say(message: FromWorker): void {
  port?.postMessage(message);
}

systemClock.join(data.clock);
systemClock.watch();
const shared = SharedState.attach(data.handles, data.worker);
observeGcPauses(shared.own);
const thread = new ProxyThread(
  {
    shared,
    clock: systemClock,
    random: new SeededRandom(unpredictableSeed()),
    log: (level: LogLevel, message: string) => say({ type: 'log', level, message }),
    onAccessLines: (lines) => say({ type: 'access', lines }),
    onWithheld: (keys) => say({ type: 'withheld', keys }),
    ...(data.clientsMax === null ? {} : { clientsMax: data.clientsMax }),
    onDrained: () => {
      say({ type: 'drained' });
      port.close();
    },
  },
  data.revision,
);
let current = data.revision;

/** Opens what is not open yet. The ports, or which one cannot be opened. */
async function listen(
  revision: Revision,
  ports: readonly number[],
  fds: Descriptors,
): Promise<readonly number[] | ListenFailed> {
  const bound: number[] = [];
  for (const [index, wanted] of ports.entries()) {
    try {
      bound.push(await thread.listen(revision, index, wanted, data.reusePort, fds[index] ?? []));
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const address = revision.config.listen[index]?.address ?? '';
      return { type: 'listen-failed', address, code: code ?? '', message };
    }
  }
  return bound;
}

async function begin(ports: readonly number[], fds: Descriptors): Promise<void> {
  // a reload may have come while this thread started: the ports are those of the newest
  const bound = await listen(current, ports, fds);
  if ('type' in bound) say(bound);
  else say({ type: 'listening', ports: bound, sockets: thread.sockets });
}

async function swap(revision: Revision, ports: readonly number[], fds: Descriptors): Promise<void> {
  current = revision;
  thread.apply(revision);
  const found = await listen(revision, ports, fds);
  const isBound = !('type' in found);
  if (!isBound) say({ type: 'log', level: 'error', message: listenMessage(found) });
  const bound = isBound ? found : ports;
  say({ type: 'applied', revision: revision.number, ports: bound, sockets: thread.sockets });
}

port.on('message', (message: ToWorker) => {
  if (message.type === 'listen') void begin(message.ports, message.fds);
  else if (message.type === 'revision') void swap(message.revision, message.ports, message.fds);
  else if (message.type === 'stop') thread.stop();
  else if (message.type === 'known') thread.successorKnows();
  else if (message.type === 'retire') thread.retire();
  else if (message.type === 'pause') {
    thread.pause();
    say({ type: 'paused' });
  } else if (message.type === 'resume') {
    thread.resume();
    void begin(message.ports, message.fds);
  } else if (message.type === 'finish') thread.finish();
  else {
    thread.destroy();
    port.close();
  }
});
say({ type: 'ready', threadId: ownThreadId() });
