// A server in a process of its own, to be killed: echoes WebSocket messages, streams events, says its name.
// Started by tests with its name as the argument; prints its port.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const name = process.argv[2] ?? '';
const EVENT_MS = 50;

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.url?.startsWith('/events') !== true) {
    response.end(name);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream', 'x-server': name });
  let number = 0;
  const timer = setInterval(() => {
    number += 1;
    response.write(`id: ${number}\n\n`);
  }, EVENT_MS);
  response.on('close', () => clearInterval(timer));
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (client) => {
  client.on('error', () => undefined);
  client.on('message', (data) => client.send(`${name} ${data.toString()}`));
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
