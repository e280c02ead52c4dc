// 10 000 log-in redirects against a session store that saves in 20 ms, with and without holdUntilComplete.
// `node test/soak/hold-race.ts [LOG_INS]`

import { systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import { startBalancer } from '../../src/run/foreground.ts';
import { createLogger } from '../../src/run/logger.ts';
import { logInLikeABrowser, slowSessionApp } from '../support/slow-session-app.ts';

const SAVE_MS = 20;
const AT_ONCE = 50;
const logIns = Number(process.argv[2] ?? 10_000);

async function measure(mode: string): Promise<number> {
  const app = await slowSessionApp(SAVE_MS);
  const yaml = `
listen: 127.0.0.1:0
admin: off
threads: 1
pools: { app: { holdUntilComplete: ${mode}, sticky: { mode: learn, cookie: connect.sid }, servers: ["${app.url}"] } }
`;
  const { config } = loadConfig(yaml, { file: 'hold-race.yaml', env: {} });
  if (config === null) throw new Error('the configuration is not valid');
  const running = await startBalancer(config, createLogger('error'), 1, () => undefined);
  let begun = 0;
  let lost = 0;
  const user = async (): Promise<void> => {
    while (begun < logIns) {
      begun += 1;
      if ((await logInLikeABrowser(running.listenUrls[0] ?? '')) !== 200) lost += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, user));
  await running.stop();
  await app.close();
  return lost;
}

for (const mode of ['off', 'redirects']) {
  const beginMs = systemClock.nowMs();
  const lost = await measure(mode);
  const seconds = ((systemClock.nowMs() - beginMs) / 1000).toFixed(1);
  console.log(`holdUntilComplete ${mode}: ${lost} of ${logIns} log-ins found no session (${seconds} s)`);
}
process.exit();
