// A balancer in this process, with its admin server, and successors that are nothing but their end of the line.

import { loadConfig } from '../../src/config/load.ts';
import type { Balancer } from '../../src/run/balancer.ts';
import type { RunningBalancer } from '../../src/run/foreground.ts';
import { createLogger } from '../../src/run/logger.ts';
import { TakeoverDirectory } from '../../src/run/takeover/directory.ts';
import { ChangeReceiver } from '../../src/run/takeover/session-channel.ts';
import { program } from './launcher.ts';
import { whenDone } from './lifetime.ts';

const LIMIT_MS = 30_000;

export interface TakeoverScene {
  readonly running: RunningBalancer;
  readonly balancer: Balancer;
  readonly port: number;
  /** A successor that has its offer. */
  ask(): Promise<ChangeReceiver>;
  isReady(): Promise<boolean>;
  /** Takes over, as far as the old process can tell. */
  replace(): Promise<ChangeReceiver>;
}

export const sceneYaml = (yaml: string): string =>
  `listen: 127.0.0.1:0\nadmin: { address: 127.0.0.1:0 }\nshutdown: { grace: 1s }\n${yaml}`;

/** `pools` and what else there is in YAML, on two threads. */
export async function takeoverScene(yaml: string, configFile: string | null = null): Promise<TakeoverScene> {
  const text = sceneYaml(yaml);
  const { config } = loadConfig(text, { file: 'scene.yaml', env: {} });
  if (config === null) throw new Error('the configuration is not valid');
  const { start } = await program();
  const running = await start(config, createLogger('silent'), 2, () => undefined, configFile);
  whenDone(() => running.stop());
  const { balancer, adminUrl } = running;
  const ask = async (): Promise<ChangeReceiver> => {
    const answer = await fetch(`${adminUrl}/api/takeover`, { method: 'POST' });
    const { directory } = (await answer.json()) as { directory: string };
    const receiver = new ChangeReceiver(new TakeoverDirectory(directory).changesSocket);
    whenDone(() => receiver.end());
    if ((await receiver.awaitOffer(LIMIT_MS)) !== 'done') throw new Error(`refused: ${receiver.refusal}`);
    return receiver;
  };
  return {
    running,
    balancer,
    port: balancer.ports[0] ?? 0,
    ask,
    isReady: async () => (await fetch(`${adminUrl}/readyz`)).ok,
    replace: async () => {
      const receiver = await ask();
      const steps = [await receiver.ready(LIMIT_MS), await receiver.serves(LIMIT_MS)];
      if (steps.some((step) => step !== 'done')) throw new Error(`${steps.join()}: ${receiver.refusal}`);
      return receiver;
    },
  };
}
