// gRPC as docs/recipes/grpc.md configures it, both ends @grpc/grpc-js: calls of one connection go to several servers, those of
// a session to one, and a server that goes away in order fails no call.

import { readFileSync } from 'node:fs';
import { Metadata } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { bytes, grpcClient, grpcServer, SERVICE } from '../support/grpc.ts';
import { runThread } from '../support/proxy-thread.ts';

test('calls of one connection are spread, those of a session stay together', async () => {
  const [, text = ''] = /```yaml\n([\s\S]*?)```/.exec(readFileSync('docs/recipes/grpc.md', 'utf8')) ?? [];
  const page = parse(text);
  const servers = await Promise.all(['a', 'b'].map((name) => grpcServer(name)));
  const { address, ...listener } = page.listen[0];
  expect(address).toContain(':8080');
  page.pools.cart.servers = servers.map(({ url }) => url);
  const running = await runThread(stringify({ pools: page.pools }), JSON.stringify(listener).slice(1, -1));
  const client = grpcClient(running.port);
  const ask = (session: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const metadata = new Metadata();
      if (session !== '') metadata.set('x-cart-session', session);
      client
        .makeUnaryRequest(
          SERVICE.Unary.path,
          bytes.serialize,
          bytes.deserialize,
          Buffer.from('hello'),
          metadata,
          (error) => {
            if (error !== null) reject(error);
          },
        )
        .on('status', ({ metadata: trailers }) => resolve(String(trailers.get('x-server')[0])));
    });
  const spread = await Promise.all(Array.from({ length: 20 }, () => ask('')));
  expect(new Set(spread)).toEqual(new Set(['a', 'b']));
  for (let index = 0; index < 5; index += 1) {
    const home = await ask(`session-${index}`);
    const again = await Promise.all(Array.from({ length: 8 }, () => ask(`session-${index}`)));
    expect(new Set(again)).toEqual(new Set([home]));
  }
  client.close();
  await running.isQuiet();
});
