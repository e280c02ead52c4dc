// Preloaded (NODE_OPTIONS=--import) into a Holdfast under test: as soon as anybody in it listens for SIGHUP it gets one
// every few milliseconds, until it has had HANG_UPS of them.
import { isMainThread } from 'node:worker_threads';

let left = Number(process.env.HANG_UPS ?? 0);
const onListener = (name) => {
  if (name !== 'SIGHUP') return;
  process.off('newListener', onListener);
  const timer = setInterval(() => {
    left -= 1;
    if (left <= 0) clearInterval(timer);
    process.kill(process.pid, 'SIGHUP');
  }, 3);
};
if (isMainThread && left > 0) process.on('newListener', onListener);
