// What is streamed is passed on as it comes, and what is not read is not piled up.

import { request } from 'node:http';
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { residentMb } from '../support/quiet.ts';
import { answer, type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { talkTo } from '../support/talker.ts';

let holdfast: RunningHoldfast;
let backend: ScriptedBackend;

const MB = 1024 * 1024;
const TOTAL = 300 * MB;
/** What may pile up in all buffers on the way, the kernel's at both sides included. */
const PILED_MB_MAX = 40;
const BLOCK = Buffer.alloc(64 * 1024, 'holdfast');

/** Writes TOTAL bytes as fast as they are taken; returns a function that says how many were. */
function pour(socket: Socket): () => number {
  let left = TOTAL;
  const more = (): void => {
    while (left > 0 && !socket.destroyed) {
      left -= BLOCK.length;
      if (!socket.write(BLOCK)) return;
    }
  };
  socket.on('drain', more);
  more();
  return () => TOTAL - left;
}

forFile(async () => {
  backend = await scriptedBackend({
    '/events': (heard) => heard.send('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n'),
    '/chunked-events': (heard) =>
      heard.send('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'),
    '/slow-server': (heard) => heard.socket.pause(),
    '/flood': (heard) => {
      heard.send(`HTTP/1.1 200 OK\r\ncontent-length: ${TOTAL}\r\n\r\n`);
      pour(heard.socket);
    },
    '/flood-until-close': (heard) => {
      heard.send('HTTP/1.1 200 OK\r\n\r\n');
      pour(heard.socket);
    },
    '/after': answer('ok'),
  });
  holdfast = await runHoldfast(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
pools: { p: { health: off, servers: [{ url: ${backend.url} }] } }
`);
});

describe('an event stream', () => {
  test.each([['/events'], ['/chunked-events']])('(%s) is passed on event by event', async (path) => {
    const talker = await talkTo(holdfast.port);
    talker.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const heard = await backend.hears(path);
    for (let index = 1; index <= 20; index += 1) {
      const event = `data: ${index}\n\n`;
      heard.send(path === '/events' ? event : `${event.length.toString(16)}\r\n${event}\r\n`);
      // The next is sent only when this one has arrived.
      await talker.until(event);
    }
    talker.socket.destroy();
  });

  test('of the client to the server is passed on piece by piece', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('POST /upload-stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    const heard = await backend.hears('/upload-stream');
    expect((await talker.reply()).get('connection')).toBe('close');
    expect(heard.head).toContain('Transfer-Encoding: chunked');
  });
});

describe('back-pressure', () => {
  test.each([['/flood'], ['/flood-until-close']])(
    'of a reader that does not read stops the server (%s)',
    async (path) => {
      const start = residentMb(holdfast);
      const talker = await talkTo(holdfast.port);
      talker.socket.pause();
      talker.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const { socket } = await backend.hears(path);
      await standsStill(() => socket.bytesWritten);
      expect(socket.bytesWritten / MB).toBeLessThan(PILED_MB_MAX);
      expect(residentMb(holdfast) - start).toBeLessThan(PILED_MB_MAX);
      talker.socket.destroy();
      await eventually(() => socket.destroyed || null);
    },
  );

  test('of a server that does not read stops the client', async () => {
    const start = residentMb(holdfast);
    const talker = await talkTo(holdfast.port);
    talker.send(`POST /slow-server HTTP/1.1\r\nHost: a\r\nContent-Length: ${TOTAL}\r\n\r\n`);
    const sent = pour(talker.socket);
    await backend.hears('/slow-server');
    await standsStill(sent);
    expect(sent() / MB).toBeLessThan(PILED_MB_MAX);
    expect(residentMb(holdfast) - start).toBeLessThan(PILED_MB_MAX);
    talker.socket.destroy();
  });

  test('lets a slow reader have everything in the end, memory bounded', async () => {
    const start = residentMb(holdfast);
    let peak = start;
    let read = 0;
    await new Promise<void>((resolve, reject) => {
      const asked = request(
        { port: holdfast.port, host: '127.0.0.1', path: '/flood', agent: false },
        (response) => {
          response.on('data', (part: Buffer) => {
            const isStep = Math.floor(read / (10 * MB)) !== Math.floor((read + part.length) / (10 * MB));
            read += part.length;
            if (!isStep) return;
            peak = Math.max(peak, residentMb(holdfast));
            response.pause();
            setTimeout(() => response.resume(), 10);
          });
          response.on('end', resolve).on('error', reject);
        },
      );
      asked.on('error', reject);
      asked.end();
    });
    expect(read).toBe(TOTAL);
    expect(peak - start).toBeLessThan(PILED_MB_MAX);
  });
});

/** Waits until a count has not changed for a while. */
async function standsStill(count: () => number): Promise<void> {
  let last = -1;
  let stillSince = performance.now();
  await eventually(
    () => {
      if (count() !== last) stillSince = performance.now();
      last = count();
      return (last > 0 && performance.now() - stillSince > 400) || null;
    },
    { what: () => `the flow to stand still; it is at ${last}` },
  );
}
