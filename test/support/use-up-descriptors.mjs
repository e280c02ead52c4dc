// Preloaded (NODE_OPTIONS=--import) into a Holdfast under test: while the file named by USE_UP_DESCRIPTORS exists, every
// descriptor that the process may have is in use.
import { closeSync, existsSync, openSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env.USE_UP_DESCRIPTORS;
const held = [];
function useUp() {
  try {
    for (;;) held.push(openSync('/dev/null'));
  } catch {
    // EMFILE
  }
}
if (isMainThread && file !== undefined) {
  setInterval(() => {
    if (existsSync(file)) useUp();
    else for (const fd of held.splice(0)) closeSync(fd);
  }, 5).unref();
}
