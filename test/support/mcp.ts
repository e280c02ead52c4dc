// Servers and clients of MCP by the official SDK, sessions in the servers' memory, over streamable HTTP.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CallToolRequestSchema, isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { onTestFinished } from 'vitest';

export interface McpServer {
  readonly name: string;
  readonly url: string;
  readonly sessions: ReadonlyMap<string, unknown>;
  /** Calls of tools that have run here. */
  calls: number;
  /** Every connection is cut, nobody listens any more, and nothing is known after it. */
  kill(): Promise<void>;
  restart(): Promise<void>;
}

const HEADER = 'mcp-session-id';

/** `port` 0: the kernel chooses; it stays when the server is restarted. */
export async function mcpServer(name: string): Promise<McpServer> {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  let port = 0;
  let http = createServer();
  const listen = async (): Promise<void> => {
    http = createServer((request, response) => void answer(request, response));
    await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve));
    ({ port } = http.address() as AddressInfo);
  };
  const kill = async (): Promise<void> => {
    transports.clear();
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeAllConnections();
    await closed;
  };
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === '/healthz') {
      response.end('ok');
      return;
    }
    const id = request.headers[HEADER];
    const body: unknown = request.method === 'POST' ? JSON.parse(await read(request)) : undefined;
    let transport = typeof id === 'string' ? transports.get(id) : undefined;
    if (transport === undefined && isInitializeRequest(body)) transport = await begin();
    if (transport === undefined) response.writeHead(404).end();
    else await transport.handleRequest(request, response, body);
  }
  async function begin(): Promise<StreamableHTTPServerTransport> {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void transports.set(id, transport),
      onsessionclosed: (id) => void transports.delete(id),
    });
    await counter().connect(asTransport(transport));
    return transport;
  }
  /** `count` raises the session's number; `count down` tells of each step, and goes on when it is told `go`. */
  function counter(): Server {
    const server = new Server({ name, version: '1.0.0' }, { capabilities: { tools: {} } });
    let count = 0;
    let go = (): void => {};
    server.setRequestHandler(CallToolRequestSchema, async ({ params }, { sendNotification, _meta }) => {
      self.calls += 1;
      if (params.name === 'go') go();
      else if (params.name === 'steps') {
        for (let progress = 1; progress <= 3; progress += 1) {
          const { progressToken = 0 } = _meta ?? {};
          const gone = new Promise<void>((resolve) => (go = resolve));
          await sendNotification({ method: 'notifications/progress', params: { progressToken, progress } });
          await gone;
        }
      } else count += 1;
      return { content: [{ type: 'text', text: `${name} ${count}` }] };
    });
    return server;
  }
  await listen();
  const self: McpServer = {
    name,
    url: `http://127.0.0.1:${port}`,
    sessions: transports,
    calls: 0,
    kill,
    restart: listen,
  };
  onTestFinished(kill);
  return self;
}

export class McpClient {
  readonly #url: URL;
  #client = new Client({ name: 'test', version: '1.0.0' });
  #transport: StreamableHTTPClientTransport;

  constructor(base: string) {
    this.#url = new URL('/mcp', base);
    this.#transport = new StreamableHTTPClientTransport(this.#url);
    onTestFinished(() => this.#client.close());
  }

  async initialise(): Promise<void> {
    await this.#client.close();
    this.#client = new Client({ name: 'test', version: '1.0.0' });
    this.#transport = new StreamableHTTPClientTransport(this.#url);
    await this.#client.connect(asTransport(this.#transport));
  }

  /** Which server has answered, and the session's number there. */
  async call(name = 'count', onprogress?: (progress: number) => void): Promise<string> {
    const options =
      onprogress === undefined
        ? {}
        : { onprogress: (told: { progress: number }) => onprogress(told.progress) };
    const { content } = await this.#client.callTool({ name }, undefined, options);
    return (content as { text: string }[])[0]?.text ?? '';
  }

  /** Says that the session is over (DELETE). */
  async end(): Promise<void> {
    await this.#transport.terminateSession();
    await this.#client.close();
  }
}

/** The SDK's classes and its interface differ in how they write what may be absent. */
function asTransport(transport: object): Transport {
  return transport as Transport;
}

async function read(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request) text += String(part);
  return text;
}
