// Holdfast inside a plain node:http server. Run it:
//
//   npm install holdfast
//   SERVERS=http://127.0.0.1:3001,http://127.0.0.1:3002 node plain.mjs
import { createServer } from 'node:http';
import { createBalancer } from 'holdfast';

const balancer = await createBalancer(
  {
    pools: {
      shop: {
        policy: 'least-sessions',
        sticky: { mode: 'cookie-hash' },
        servers: (process.env.SERVERS ?? 'http://127.0.0.1:3001').split(','),
      },
    },
  },
  { onTransition: ({ server, to }) => console.error(`server ${server} is ${to}`) },
);

const server = createServer(balancer.middleware());
server.on('upgrade', balancer.upgrade);
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});

process.once('SIGTERM', async () => {
  server.close();
  await balancer.close();
});
