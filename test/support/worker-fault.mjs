// Preloaded (NODE_OPTIONS=--import) into a Holdfast under test: a worker thread throws once a file named after it
// appears, or hangs for good if the file says `hang`. So a worker can be made to fail without a way in for it in the
// program itself.
import { existsSync, readFileSync, unlinkSync } from 'node:fs';
import { isMainThread, workerData } from 'node:worker_threads';

const POLL_MS = 20;
const directory = process.env.HOLDFAST_TEST_FAULTS;
if (!isMainThread && directory !== undefined) {
  const file = `${directory}/worker-${workerData?.worker}`;
  let wasEmpty = false;
  setInterval(() => {
    if (!existsSync(file)) return;
    const how = readFileSync(file, 'utf8');
    // whoever writes it may have made it and not filled it yet
    if (how === '' && !wasEmpty) {
      wasEmpty = true;
      return;
    }
    unlinkSync(file);
    while (how === 'hang');
    throw new Error('a fault made by a test');
  }, POLL_MS).unref();
}
