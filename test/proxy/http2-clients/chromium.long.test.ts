// A page as browsers have them: scores of pictures, fetches and uploads at once, events and a WebSocket, all of it over one
// connection of HTTP/2 and TLS, from two servers.

import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { type Backend, httpBackend } from '../../support/backend.ts';
import { openPage } from '../../support/browser.ts';
import { eventually } from '../../support/eventually.ts';
import { whenDone } from '../../support/lifetime.ts';
import { runThread } from '../../support/proxy-thread.ts';

const PICTURES = 60;
const FETCHES = 60;
const UPLOADS = 6;
const UPLOAD_BYTES = 1 << 20;
const EVENTS = 20;
const MESSAGES = 50;
/** Requests taken back: more than a connection may, several times over. */
const MOVES = 20;
const TILES = 40;

const PAGE = `<!doctype html><title>page</title>${Array.from(
  { length: PICTURES },
  (_, index) => `<img src="/picture/${index}">`,
).join('')}`;

/** What the page does once it is there; run by the browser. */
const BUSY = `(async () => {
  const pictures = [...document.images];
  await Promise.all(pictures.map((each) => each.decode()));
  const fetched = Array.from({ length: ${FETCHES} }, (_, index) => fetch('/fetched/' + index).then((answer) => answer.text()));
  const uploaded = Array.from({ length: ${UPLOADS} }, async (_, index) => {
    const body = new Uint8Array(${UPLOAD_BYTES}).fill(index);
    const answer = await fetch('/upload', { method: 'POST', body });
    return answer.text();
  });
  const events = new Promise((resolve) => {
    const got = [];
    const source = new EventSource('/events');
    source.onmessage = ({ data }) => {
      got.push(Number(data));
      if (got.length < ${EVENTS}) return;
      source.close();
      resolve(got);
    };
  });
  const messages = new Promise((resolve, reject) => {
    const got = [];
    const socket = new WebSocket('wss://' + location.host + '/socket');
    window.socket = socket;
    socket.onopen = () => { for (let at = 0; at < ${MESSAGES}; at += 1) socket.send('message ' + at); };
    socket.onmessage = ({ data }) => { if (got.push(data) === ${MESSAGES}) resolve(got); };
    socket.onerror = () => reject(new Error('the WebSocket failed'));
  });
  const entries = () => performance.getEntriesByType('resource').map(({ nextHopProtocol }) => nextHopProtocol);
  return {
    widths: pictures.map(({ naturalWidth }) => naturalWidth),
    fetched: (await Promise.all(fetched)).map(({ length }) => length),
    uploaded: await Promise.all(uploaded),
    events: await events,
    messages: await messages,
    protocols: [...new Set(entries())],
  };
})()`;

function serve(incoming: IncomingMessage, response: ServerResponse): void {
  const [, kind, number = '0'] = (incoming.url ?? '').split('/');
  const size = Number(number) + 1;
  if (kind === '') response.setHeader('content-type', 'text/html').end(PAGE);
  else if (kind === 'picture')
    response
      .setHeader('content-type', 'image/svg+xml')
      .end(`<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="1"></svg>`);
  else if (kind === 'fetched') response.end('x'.repeat(size * 5000));
  else if (kind === 'events') {
    response.setHeader('content-type', 'text/event-stream');
    for (let at = 0; at < EVENTS; at += 1) response.write(`data: ${at}\n\n`);
  } else if (kind === 'upload') {
    const hash = createHash('sha256');
    incoming.on('data', (part: Buffer) => hash.update(part));
    incoming.on('end', () => response.end(hash.digest('hex')));
  } else if (kind === 'ticks') {
    response.setHeader('content-type', 'text/event-stream');
    response.write('data: tick\n\n');
  } else if (kind === 'length') {
    let length = 0;
    incoming.on('data', (part: Buffer) => {
      length += part.length;
    });
    incoming.on('end', () => response.end(`${length}`));
  } else if (kind !== 'never') response.writeHead(204).end();
}

async function server(name: string): Promise<Backend> {
  const backend = await httpBackend(name, serve);
  const sockets = new WebSocketServer({ noServer: true });
  backend.server.on('upgrade', (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, (client) =>
      client.on('message', (data, isBinary) => client.send(data, { binary: isBinary })),
    ),
  );
  whenDone(() => {
    for (const client of sockets.clients) client.terminate();
  });
  return backend;
}

test('a page with everything at once', async ({ skip }) => {
  const servers = [await server('a'), await server('b')];
  const running = await runThread(
    `pools: { web: { health: off, servers: [${servers.map(({ url }) => JSON.stringify(url)).join(', ')}] } }`,
    'tls: { selfSigned: true }',
  );
  const { page, complaints } = await openPage(`https://localhost:${running.port}/`, skip, {
    isSelfSigned: true,
  });
  const seen = await page.evaluate(BUSY);
  expect(seen).toEqual({
    widths: Array.from({ length: PICTURES }, (_, index) => index + 1),
    fetched: Array.from({ length: FETCHES }, (_, index) => (index + 1) * 5000),
    uploaded: Array.from({ length: UPLOADS }, (_, index) =>
      createHash('sha256').update(Buffer.alloc(UPLOAD_BYTES, index)).digest('hex'),
    ),
    events: Array.from({ length: EVENTS }, (_, index) => index),
    messages: Array.from({ length: MESSAGES }, (_, index) => `message ${index}`),
    protocols: ['h2'],
  });
  expect(complaints).toEqual([]);
  // the WebSocket alone is left, and is a stream as well
  await eventually(() => running.thread.own.http2Streams(0) === 1, { what: () => 'one stream' });
  expect(servers.every(({ connections }) => connections() > 0)).toBe(true);
  await page.evaluate('window.socket.close()');
  await eventually(() => running.thread.own.http2Streams(0) === 0, { what: () => 'no stream' });
}, 180_000);

/** A map that is moved: what was asked for is taken back for what is seen now, while a file goes up and events come. Says what has failed. */
const MOVED = `(async () => {
  const failures = [];
  const source = new EventSource('/ticks');
  source.onerror = () => failures.push('the events broke off');
  await new Promise((resolve) => { source.onmessage = resolve; });
  let sent = 0;
  const body = new ReadableStream({
    async pull(controller) {
      if (window.hasMoved) return controller.close();
      controller.enqueue(new Uint8Array(1000));
      sent += 1000;
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
  });
  const uploaded = fetch('/length', { method: 'POST', body, duplex: 'half' }).then((answer) => answer.text(), String);
  for (let move = 0; move < ${MOVES}; move += 1) {
    const moved = new AbortController();
    for (let tile = 0; tile < ${TILES}; tile += 1)
      fetch('/never/' + move + '/' + tile, { signal: moved.signal }).catch((error) => {
        if (error.name !== 'AbortError') failures.push('a tile: ' + error);
      });
    await fetch('/fetched/1').catch((error) => failures.push('a fetch: ' + error));
    moved.abort();
  }
  window.hasMoved = true;
  const length = Number(await uploaded);
  if (length !== sent) failures.push('uploaded ' + length + ' of ' + sent);
  source.close();
  return failures;
})()`;

test('a map that is moved again and again takes hundreds of requests back, and nothing else breaks off', async ({
  skip,
}) => {
  const { url } = await server('a');
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${url}"] } }`,
    'tls: { selfSigned: true }',
  );
  const { page } = await openPage(`https://localhost:${running.port}/`, skip, { isSelfSigned: true });
  expect(await page.evaluate(MOVED)).toEqual([]);
  expect(running.thread.own.http2Abuse(0, 'resets')).toBe(0);
}, 180_000);
