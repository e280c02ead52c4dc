/** A proxy that is running and answers: started from its adapter, stopped by its pid. */

import { type Backend, portOf } from './backends.ts';
import { freePorts, isAccepting, startChild, until } from './children.ts';
import { createClient } from './client.ts';
import { makeFolder, removeFolder } from './folders.ts';
import type { Peer } from './peer.ts';

export type Running = {
  readonly peer: Peer;
  readonly pid: number;
  readonly port: number;
  readonly stop: () => Promise<void>;
};

const START_MS = 15_000;

/** Starts the proxy and waits until a request through it is answered with 200; an error says what it printed. */
export async function startPeer(
  peer: Peer,
  backends: readonly Backend[],
  core: number | null,
  connectionsMax: number,
): Promise<Running> {
  const folder = makeFolder(peer.name);
  const [freePort = 0] = await freePorts(1);
  const { command, printsPort } = peer.launch({ folder, port: freePort, backends, connectionsMax });
  const child = startChild(command, core);
  const stop = async (): Promise<void> => {
    await child.stop();
    removeFolder(folder);
  };
  try {
    const port = await until(child, `${peer.name} to listen`, START_MS, async () => {
      if (printsPort) return portOf(child);
      return (await isAccepting(freePort)) ? freePort : null;
    });
    const client = createClient(port);
    await until(child, `${peer.name} to answer`, START_MS, async () => {
      const reply = await client.get('/small').catch(() => null);
      return reply?.status === 200 ? true : null;
    });
    client.close();
    return { peer, pid: child.pid, port, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
