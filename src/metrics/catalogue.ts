// Every metric of Holdfast, in one table. docs/metrics.md, the collectors and the dashboards are held to it by tests.

export interface MetricDescription {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

const SERVER = ['pool', 'server'] as const;

export const CATALOGUE = {
  holdfast_requests_total: {
    type: 'counter',
    labels: [...SERVER, 'code'],
    help: 'Requests sent to the server by class of the response status; none: it ended without a response.',
  },
  holdfast_request_duration_seconds: {
    type: 'histogram',
    labels: SERVER,
    help: 'From the whole request head received to the last response byte handed to the client.',
  },
  holdfast_upstream_connect_duration_seconds: {
    type: 'histogram',
    labels: SERVER,
    help: 'Time to connect to the server, new connections only.',
  },
  holdfast_requests_in_flight: {
    type: 'gauge',
    labels: SERVER,
    help: 'Requests and tunnels open on the server now.',
  },
  holdfast_request_bytes_total: {
    type: 'counter',
    labels: SERVER,
    help: 'Request bytes sent to the server.',
  },
  holdfast_response_bytes_total: {
    type: 'counter',
    labels: SERVER,
    help: 'Response bytes received from the server.',
  },
  holdfast_upstream_failures_total: {
    type: 'counter',
    labels: SERVER,
    help: 'Attempts on the server that failed: not reached, no or no valid response, or broken off; retried ones too.',
  },
  holdfast_passive_failures_total: {
    type: 'counter',
    labels: [...SERVER, 'kind'],
    help: 'What speaks against the server in real traffic: connect (not reached), response (none in time, broken or invalid), status (it answered one of passive.status).',
  },
  holdfast_server_first_byte_seconds: {
    type: 'gauge',
    labels: SERVER,
    help: 'Moving average of the time to the first response byte, as the policy least-time sees it; 0: not measured.',
  },
  holdfast_client_connections: { type: 'gauge', labels: ['listener'], help: 'Client connections open now.' },
  holdfast_tls_handshakes_total: {
    type: 'counter',
    labels: ['listener', 'result'],
    help: 'TLS handshakes with clients: full, resumed, failed, unverified (no good certificate, where `clientAuth: require` wants one), timed_out, or refused because there were too many.',
  },
  holdfast_http2_connections: {
    type: 'gauge',
    labels: ['listener'],
    help: 'Client connections open now that speak HTTP/2.',
  },
  holdfast_http2_streams: {
    type: 'gauge',
    labels: ['listener'],
    help: 'Streams of these connections that are open now: requests under way.',
  },
  holdfast_http2_abuse_total: {
    type: 'counter',
    labels: ['listener', 'kind'],
    help: 'What HTTP/2 clients overdid: streams (refused), stalled (responses that were not taken, dropped); all other kinds have ended the connection.',
  },
  holdfast_certificate_expiry_seconds: {
    type: 'gauge',
    labels: ['listener', 'name'],
    help: 'When a certificate ends, Unix time in seconds.',
  },
  holdfast_upstream_connections: {
    type: 'gauge',
    labels: [...SERVER, 'state'],
    help: 'Connections to the server open now: active, or idle and kept for the next request.',
  },
  holdfast_rejected_requests_total: {
    type: 'counter',
    labels: ['reason', 'pool'],
    help: 'Requests that the balancer answered or ended itself, by the kind also named in x-holdfast-error; pool: empty where none was known yet.',
  },
  holdfast_client_errors_total: {
    type: 'counter',
    labels: ['pool'],
    help: 'Requests that went wrong for the client: answered with 5xx by a server, answered by the balancer itself, or broken off; those that the client gave up are none. Of holdfast_pool_requests_total.',
  },
  holdfast_retries_total: {
    type: 'counter',
    labels: ['pool', 'reason'],
    help: 'Attempts after the first, by what went wrong before.',
  },
  holdfast_retries_refused_total: {
    type: 'counter',
    labels: ['pool'],
    help: 'Failed attempts that could have been repeated, but the retry budget was used up.',
  },
  holdfast_retry_budget_remaining: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Retries that the budgets of all threads would allow now; 0: failures are passed on at once.',
  },
  holdfast_queued_requests_total: {
    type: 'counter',
    labels: ['pool'],
    help: 'Requests that had to wait: every eligible server was at its connection limit, or there was none.',
  },
  holdfast_pool_requests_total: {
    type: 'counter',
    labels: ['pool'],
    help: 'Requests routed to the pool, answered or not.',
  },
  holdfast_pool_servers_eligible: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Servers of the pool that are up and ready and have a weight, backups included.',
  },
  holdfast_servers_ejected: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Servers of the pool that passive health has put aside (verdict ejected).',
  },
  holdfast_server_up: {
    type: 'gauge',
    labels: SERVER,
    help: '1 when the verdict on the server is up, else 0.',
  },
  holdfast_server_verdict: {
    type: 'gauge',
    labels: [...SERVER, 'verdict'],
    help: '1 for the present verdict: starting, up, down or ejected.',
  },
  holdfast_server_mode: {
    type: 'gauge',
    labels: [...SERVER, 'mode'],
    help: '1 for the mode that the operator has set.',
  },
  holdfast_server_report: {
    type: 'gauge',
    labels: [...SERVER, 'report'],
    help: 'What the server says of itself in its health reply (x-holdfast-server): ready, drain or full.',
  },
  holdfast_sessions_unbacked: {
    type: 'gauge',
    labels: SERVER,
    help: 'Sessions that only this server has, by its health reply (x-holdfast-unbacked); none of its sessions moves meanwhile.',
  },
  holdfast_server_weight: { type: 'gauge', labels: SERVER, help: 'Effective weight, slow start included.' },
  holdfast_server_max_connections: {
    type: 'gauge',
    labels: SERVER,
    help: 'Configured limit of requests in flight; 0: none.',
  },
  holdfast_server_max_sessions: {
    type: 'gauge',
    labels: SERVER,
    help: 'Configured limit of sessions; 0: none.',
  },
  holdfast_server_transitions_total: {
    type: 'counter',
    labels: [...SERVER, 'to'],
    help: 'Changes of the verdict, by the new one.',
  },
  holdfast_health_checks_total: {
    type: 'counter',
    labels: [...SERVER, 'result'],
    help: 'Finished active checks: success, failure or timeout.',
  },
  holdfast_sessions: {
    type: 'gauge',
    labels: SERVER,
    help: 'Sessions whose home is the server, as the last sweep found them.',
  },
  holdfast_sessions_tentative: {
    type: 'gauge',
    labels: SERVER,
    help: 'Cookies given out that no client has shown yet; not part of holdfast_sessions.',
  },
  holdfast_sessions_created_total: {
    type: 'counter',
    labels: SERVER,
    help: 'Sessions that began on the server.',
  },
  holdfast_sessions_ended_total: {
    type: 'counter',
    labels: [...SERVER, 'reason'],
    help: 'Sessions that ended: idle, life (too old), logout (the application deleted its cookie), evicted (table full) or secret (a reload dropped every secret they were kept under).',
  },
  holdfast_sessions_lost_total: {
    type: 'counter',
    labels: [...SERVER, 'reason'],
    help: 'Sessions that had to leave a home that alone held their state, counted when they come back; server `(removed)`: the home is configured no more.',
  },
  holdfast_session_moves_total: {
    type: 'counter',
    labels: ['pool', 'reason'],
    help: 'Sessions given another home.',
  },
  holdfast_rebalance_active: {
    type: 'gauge',
    labels: ['pool'],
    help: '1 while sessions are being moved to even out the servers, else 0. Pools with state shared.',
  },
  holdfast_rebalance_cycles_total: {
    type: 'counter',
    labels: ['pool'],
    help: 'Times the rebalancer has looked at the pool.',
  },
  holdfast_affinity_decisions_total: {
    type: 'counter',
    labels: ['pool', 'verdict'],
    help: 'Why requests went where they went; limited: served without a session, its address has begun too many; adopted: to the server that a cookie of the balancer before us names.',
  },
  holdfast_session_skew_ratio: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Sessions of the fullest server over its fair share; 1: even. Servers that are up, ready and not backups.',
  },
  holdfast_session_skew_trough: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Sessions of the emptiest server over its fair share.',
  },
  holdfast_session_skew_cv: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Standard deviation of sessions over fair share.',
  },
  holdfast_session_skew_jain: {
    type: 'gauge',
    labels: ['pool'],
    help: "Jain's fairness index of sessions; 1: even.",
  },
  holdfast_session_skew_gini: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Gini coefficient of sessions; 0: even.',
  },
  holdfast_session_skew_floor: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Ratio that placing as many sessions at random would give: what is not above it is chance.',
  },
  holdfast_session_skew_floor_cv: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Standard deviation that random placement would give.',
  },
  holdfast_session_skew_excess: {
    type: 'gauge',
    labels: ['pool'],
    help: 'Deviation beyond chance: sqrt(max(0, cv^2 - floor_cv^2)).',
  },
  holdfast_session_skew_chi2: {
    type: 'gauge',
    labels: ['pool'],
    help: "Pearson's chi-square of sessions against fair shares.",
  },
  holdfast_session_skew_chi2_limit: {
    type: 'gauge',
    labels: ['pool'],
    help: 'What chance exceeds once in a thousand times; chi2 above it is not bad luck.',
  },
  holdfast_load_skew_ratio: {
    type: 'gauge',
    labels: ['pool', 'by'],
    help: 'Load of the most loaded server over its fair share: requests of the last minute, or in_flight now.',
  },
  holdfast_load_skew_trough: {
    type: 'gauge',
    labels: ['pool', 'by'],
    help: 'Load of the least loaded server over its fair share.',
  },
  holdfast_load_skew_cv: {
    type: 'gauge',
    labels: ['pool', 'by'],
    help: 'Standard deviation of load over fair share.',
  },
  holdfast_load_skew_jain: {
    type: 'gauge',
    labels: ['pool', 'by'],
    help: "Jain's fairness index of load; 1: even.",
  },
  holdfast_load_skew_gini: {
    type: 'gauge',
    labels: ['pool', 'by'],
    help: 'Gini coefficient of load; 0: even.',
  },
  holdfast_session_hottest_share: {
    type: 'gauge',
    labels: ['pool'],
    help: "Share of the busiest session in the request rate of the pool's sessions.",
  },
  holdfast_sessions_effective: {
    type: 'gauge',
    labels: ['pool'],
    help: 'How many equally busy sessions would load the servers as unevenly: (sum of rates)^2 / sum of squares.',
  },
  holdfast_session_table_entries: {
    type: 'gauge',
    labels: [],
    help: 'Entries in use in the session table, tentative ones included.',
  },
  holdfast_session_table_capacity: {
    type: 'gauge',
    labels: [],
    help: 'Entries there is room for in the session table.',
  },
  holdfast_session_sweep_seconds: {
    type: 'gauge',
    labels: [],
    help: "Main's time spent on the last pass over the session table.",
  },
  holdfast_config_revision: {
    type: 'gauge',
    labels: [],
    help: 'Number of the running configuration; grows with each reload.',
  },
  holdfast_reloads_total: {
    type: 'counter',
    labels: ['result'],
    help: 'Reloads: success or failure. Changed certificates that are refused are failures too.',
  },
  holdfast_worker_restarts_total: {
    type: 'counter',
    labels: [],
    help: 'Workers that died and were replaced.',
  },
  holdfast_discovery_servers: {
    type: 'gauge',
    labels: ['pool', 'source'],
    help: 'Servers that the last good look has found; those that are leaving are not counted.',
  },
  holdfast_discovery_failures_total: {
    type: 'counter',
    labels: ['pool', 'source'],
    help: 'Looks that failed or found nothing; the last answer stands.',
  },
  holdfast_access_log_dropped_total: {
    type: 'counter',
    labels: [],
    help: 'Lines of the access log not written because reader or disk did not keep up.',
  },
  holdfast_certificate_orders_total: {
    type: 'counter',
    labels: ['result'],
    help: 'Tries to have a certificate from an authority: issued; refused by it; unreachable, it or nothing that makes sense came; failed here, such as a folder that cannot be written.',
  },
  holdfast_descriptors: {
    type: 'gauge',
    labels: [],
    help: 'File descriptors the process has open. Absent where the system does not say.',
  },
  holdfast_descriptors_limit: {
    type: 'gauge',
    labels: [],
    help: 'File descriptors the process may have open. Clients get about half of what is not needed otherwise.',
  },
  holdfast_gc_pause_seconds: {
    type: 'histogram',
    labels: ['kind'],
    help: 'How long data-plane threads stood still to collect garbage: minor (the young generation), or major (the whole heap, in steps).',
  },
  holdfast_threads: { type: 'gauge', labels: [], help: 'Data-plane threads.' },
  holdfast_build_info: {
    type: 'gauge',
    labels: ['version', 'node'],
    help: 'Always 1; the labels say what is running.',
  },
} as const satisfies Record<string, MetricDescription>;

export type MetricName = keyof typeof CATALOGUE;
export const METRIC_NAMES = Object.keys(CATALOGUE) as readonly MetricName[];
