// Started by launch.long.test.ts and killed there: what it starts must not outlive it.
import { startDemo } from '../../demo/launch.ts';
import { redisMissing } from '../../demo/redis-servers.ts';

const [database, redis] = await Promise.all([
  startDemo({ architecture: 'database', servers: 1 }),
  redisMissing() === null ? startDemo({ architecture: 'redis', servers: 1 }) : null,
]);
const demos = redis === null ? [database] : [database, redis];
process.send?.(demos.flatMap((demo) => [demo.store.pid, ...demo.backends.map(({ pid }) => pid)]));
