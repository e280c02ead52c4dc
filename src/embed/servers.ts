// Attempts on one server: each a request of http-proxy's, which takes an idle connection of the agent or opens one.

import type { ServerStream, ServerStreams, ServerStreamUser } from '../exchange/streams.ts';
import { EmbeddedExchange } from './exchange.ts';
import type { NodeClient } from './node-client.ts';
import type { NodeServer, ServerServices } from './node-server.ts';
import type { ServerAgent } from './server-agent.ts';
import { UpgradeClient } from './upgrade-client.ts';
import { UpgradeServer } from './upgrade-server.ts';
import { WebClient } from './web-client.ts';
import { WebServer } from './web-server.ts';

export class NodeServers implements ServerStreams {
  readonly agent: ServerAgent;
  readonly #services: ServerServices;
  /** Where http-proxy's events of a request go. */
  readonly #onOpened: (client: NodeClient, server: NodeServer) => void;

  constructor(
    agent: ServerAgent,
    services: ServerServices,
    onOpened: (client: NodeClient, server: NodeServer) => void,
  ) {
    this.agent = agent;
    this.#services = services;
    this.#onOpened = onOpened;
  }

  /** Which connection a request goes over is the agent's to say, after it was asked. */
  takeIdle(): null {
    return null;
  }

  /** Throws what node:http throws where it refuses a request. */
  open(user: ServerStreamUser): ServerStream {
    if (!(user instanceof EmbeddedExchange)) throw new Error('not an exchange of this balancer');
    const { nodeClient } = user;
    if (nodeClient === null) throw new Error('no exchange is under way');
    const server = this.#serverOf(nodeClient, user);
    this.#onOpened(nodeClient, server);
    try {
      server.open(user.request.headText);
    } catch (error) {
      server.destroy();
      throw error;
    }
    return server;
  }

  #serverOf(client: NodeClient, user: ServerStreamUser): NodeServer {
    if (client instanceof WebClient)
      return new WebServer(this.#services, this.agent, client, client.response, user);
    if (client instanceof UpgradeClient)
      return new UpgradeServer(this.#services, this.agent, client, client.socket, user);
    throw new Error('neither a request nor an upgrade');
  }
}
