// The balancer below a path of the application: requests and upgrades lose the path alike, and what is not below it is none
// of the balancer's. Express takes the path of `app.use('/shop', …)` off requests only, for upgrades never come to it.
//
//   /shop/cart?id=1  ->  /cart?id=1        /shop?id=1  ->  /?id=1        /shopping  ->  (not ours)

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Intake, Next } from './intake.ts';
import type { NodeRequest, NodeResponse } from './node-messages.ts';

export class Mount {
  /** In lower case. */
  readonly #path: string;
  readonly #intake: Intake;

  /** Throws TypeError where the path does not begin with a slash. A slash at its end does not matter. */
  constructor(path: string, intake: Intake) {
    if (!path.startsWith('/')) throw new TypeError(`a mount begins with "/", not ${JSON.stringify(path)}`);
    this.#path = path.replace(/\/+$/, '').toLowerCase();
    this.#intake = intake;
  }

  /** For `app.use(mount.middleware)`, `app.use('/shop', mount.middleware)` and servers without a framework. */
  readonly middleware = (request: NodeRequest, response: NodeResponse, next?: Next): void => {
    const { url = '' } = request;
    const below = isTakenOff(request, this.#path) ? url : this.#below(url);
    if (below === null) {
      if (next === undefined) this.#intake.noRoute(request, response);
      else next();
      return;
    }
    request.url = below;
    const onNext = (error?: unknown): void => {
      request.url = url;
      next?.(error);
    };
    this.#intake.handle(request, response, next && onNext);
  };

  /** For `server.on('upgrade', mount.upgrade)`; what is not below the path is left to the server's other listeners. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const { url = '' } = request;
    const below = this.#below(url);
    if (below === null) {
      this.#intake.leaveUpgrade(request, socket);
      return;
    }
    request.url = below;
    this.#intake.upgrade(request, socket, head);
    // other listeners of the server go by it
    request.url = url;
  };

  /** The target without the path, or null. Case does not matter, as in Express. */
  #below(target: string): string | null {
    const { length } = this.#path;
    if (target.slice(0, length).toLowerCase() !== this.#path) return null;
    const rest = target.slice(length);
    if (rest.startsWith('/')) return rest;
    return rest === '' || rest.startsWith('?') ? `/${rest}` : null;
  }
}

/** Express says what it has taken off. `path`: in lower case. */
function isTakenOff(request: NodeRequest, path: string): boolean {
  return (
    'baseUrl' in request &&
    typeof request.baseUrl === 'string' &&
    request.baseUrl.toLowerCase().endsWith(path)
  );
}
