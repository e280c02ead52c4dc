// Preloaded (NODE_OPTIONS=--import) into a Holdfast under test: a worker thread throws once a file named after it
// appears. So a worker can be made to die without a way in for it in the program itself.
import { existsSync, unlinkSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';

const POLL_MS = 20;
const directory = process.env.HOLDFAST_TEST_FAULTS;
if (!isMainThread && directory !== undefined) {
  const file = `${directory}/worker-${workerData?.worker}`;
  setInterval(() => {
    if (!existsSync(file)) return;
    unlinkSync(file);
    throw new Error('a fault made by a test');
  }, POLL_MS).unref();
}
