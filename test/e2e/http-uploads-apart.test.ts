// Uploads of many clients at once stay apart: no byte of one ever shows up in another's. (Found by the soak: a read
// buffer was lent to another client while the next read of its former owner was still bound for it.)

import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { runInside } from '../support/holdfast.ts';
import { whenDone } from '../support/lifetime.ts';

const CLIENTS = 40;
const UPLOADS = 25;
const BYTES = [2_000, 20_000, 70_000, 300_000];

function digestOf(body: Buffer): string {
  return createHash('sha1').update(body).digest('hex');
}

function upload(port: number, agent: Agent, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, host: '127.0.0.1', method: 'PUT', path: '/', agent }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text)).on('error', reject);
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

test('bytes of one upload never reach another', { timeout: 60_000 }, async () => {
  const backend = await httpBackend('digest', (incoming, response) => {
    const hash = createHash('sha1');
    incoming.on('data', (part: Buffer) => hash.update(part));
    incoming.on('end', () => {
      // Now and then a server closes, so that uploads wait for new connections, their first bytes held back.
      if (Math.random() < 0.3) response.setHeader('connection', 'close');
      response.end(hash.digest('hex'));
    });
  });
  const holdfast = await runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
pools: { p: { health: off, servers: [{ url: ${backend.url} }] } }
`);
  const wrong: string[] = [];
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      whenDone(() => agent.destroy());
      for (let index = 0; index < UPLOADS; index += 1) {
        const body = Buffer.alloc(BYTES[(client + index) % BYTES.length] ?? 0, `${client}/${index} `);
        const digest = await upload(holdfast.port, agent, body);
        if (digest !== digestOf(body))
          wrong.push(`client ${client}, upload ${index} of ${body.length} bytes`);
      }
      agent.destroy();
    }),
  );
  expect(wrong).toEqual([]);
});
