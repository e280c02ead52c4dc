/** Every proxy that takes part, in the order of the report. */
import type { Peer } from './peer.ts';
import { HOLDFAST } from './peer-holdfast.ts';
import { HAPROXY_TCP, RELAY } from './peers-floor.ts';
import { CADDY, HAPROXY, NGINX } from './peers-native.ts';
import { NPM_PEERS } from './peers-npm.ts';

export const PEERS: readonly Peer[] = [HOLDFAST, HAPROXY, NGINX, CADDY, ...NPM_PEERS];

/** Who can be named beside them: what knows nothing of HTTP, the floor under the others. */
export const NAMEABLE: readonly Peer[] = [...PEERS, HAPROXY_TCP, RELAY];
