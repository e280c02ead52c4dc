// The policies by their name in the configuration.

import { unreachable } from '../../base/assert.ts';
import type { Random } from '../../base/random.ts';
import type { PolicyName } from '../../config/model.ts';
import { LeastConnections } from './least-connections.ts';
import { LeastSessions } from './least-sessions.ts';
import { LeastTime } from './least-time.ts';
import type { Policy } from './policy.ts';
import { RandomTwo } from './random-two.ts';
import { RoundRobin } from './round-robin.ts';

/** A policy for one pool on one thread. `weights`: effective ones at the start, in thousandths. */
export function createPolicy(name: PolicyName, weights: Float64Array, random: Random): Policy {
  switch (name) {
    case 'round-robin':
      return new RoundRobin(weights, random);
    case 'least-connections':
      return new LeastConnections();
    case 'random-two':
      return new RandomTwo();
    case 'least-sessions':
      return new LeastSessions();
    case 'least-time':
      return new LeastTime();
    default:
      return unreachable(name);
  }
}
