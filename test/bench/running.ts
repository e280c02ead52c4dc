/** A proxy that is running and answers: started from its adapter, stopped by its pid. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { selfSigned } from '../../src/tls/self-signed.ts';
import { type Backend, portOf, type Spoken } from './backends.ts';
import { freePorts, isAccepting, startChild, until } from './children.ts';
import { createClient } from './client.ts';
import { makeFolder, removeFolder } from './folders.ts';
import type { Peer } from './peer.ts';
import { HOST } from './scenarios.ts';

export type Running = {
  readonly peer: Peer;
  readonly pid: number;
  readonly port: number;
  /** null: it does not speak TLS. */
  readonly securePort: number | null;
  readonly stop: () => Promise<void>;
};

const START_MS = 15_000;

function certificateIn(folder: string): { cert: string; key: string; both: string } {
  const { cert, key } = selfSigned([HOST], Date.now());
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  return {
    cert: write('cert.pem', cert),
    key: write('key.pem', key),
    both: write('both.pem', cert + key),
  };
}

/** Starts the proxy and waits until a request through it is answered with 200; an error says what it printed. */
export async function startPeer(
  peer: Peer,
  backends: readonly Backend[],
  core: number | null,
  connectionsMax: number,
  { spoken = 'h1', threads = 1 }: { readonly spoken?: Spoken; readonly threads?: number } = {},
): Promise<Running> {
  const folder = makeFolder(peer.name);
  const [freePort = 0, securePort = 0] = await freePorts(2);
  const secure = { port: securePort, ...certificateIn(folder) };
  const site = { folder, port: freePort, backends, spoken, secure, connectionsMax, threads };
  const { command, printsPort } = peer.launch(site);
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
    return { peer, pid: child.pid, port, securePort: peer.speaksTls ? securePort : null, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
