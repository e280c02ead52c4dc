// What an embedded exchange is begun with, and what it gets from its server.

import type { IncomingMessage } from 'node:http';
import type { PoolPlan } from '../choose/plan.ts';
import type { Client } from './clients.ts';
import type { DataPath } from './data-path.ts';

/** A request whose head path.heads has just parsed, and the pool it goes to. */
export interface ParsedRequest {
  readonly path: DataPath;
  readonly plan: PoolPlan;
  readonly request: IncomingMessage;
  readonly client: Client;
  readonly headBytes: number;
}

/** What the server's response head says to the client. */
export interface Answer {
  /** The whole head as the program would write it, our cookie in it. */
  readonly text: string;
  /** Value of our Set-Cookie line, '' for none. */
  readonly cookie: string;
}
