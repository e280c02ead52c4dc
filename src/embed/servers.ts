// Attempts on one server: each a request of http-proxy's, which takes an idle connection of the agent or opens one.

import type { PoolConfig, ServerConfig } from '../config/model.ts';
import type { ServerConnections } from '../exchange/exchange-host.ts';
import type { ServerStream, ServerStreamUser } from '../exchange/streams.ts';
import { EmbeddedExchange } from './exchange.ts';
import type { ServerServices } from './node-server.ts';
import { ServerAgent } from './server-agent.ts';
import { UpgradeServer } from './upgrade-server.ts';
import { WebServer } from './web-server.ts';

export class NodeServers extends ServerAgent implements ServerConnections {
  readonly #services: ServerServices;

  constructor(
    slot: number,
    generation: number,
    server: ServerConfig,
    config: PoolConfig,
    services: ServerServices,
  ) {
    super(slot, generation, server, services.own, config);
    this.#services = services;
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
    const server = nodeClient.isUpgrade
      ? new UpgradeServer(this.#services, this, nodeClient, user)
      : new WebServer(this.#services, this, nodeClient, user);
    try {
      server.open(user.request.headText);
    } catch (error) {
      server.destroy();
      throw error;
    }
    return server;
  }
}
