// What the Markdown report says in words, whatever the numbers are.

/** The architectures in a sentence each, for a reader who has not met them. */
export const ARCHITECTURE_TEXT = `## What is compared

| | sessions live | affinity | \`--only\` |
| --- | --- | --- | --- |
| A0 | in the memory of the server that made them | none: the control | \`memory-none\` |
| A1 | same | the balancer's own sealed cookie (\`cookie-hash\`), new sessions to the server with the fewest | \`memory\` |
| A1 | same | the application's cookie, remembered in a table (\`learn\`); fewest | \`memory-learn\` |
| A1 | same | \`learn\`; new sessions to the servers in turn | \`memory-turn\` |
| A1 | same | hash of a header (\`header-hash\`): by chance | \`memory-random\` |
| A2a | on every server; changes are broadcast after the answer | none | \`replicated\` |
| A2b | on every server; the answer waits until all have confirmed | none | \`replicated-sync\` |
| A3 | in a central database (SQLite in a process of its own) | none | \`database\` |
| A4a | in one Redis without persistence | none | \`redis\` |
| A4b | in one Redis with an append-only file | none | \`redis-aof\` |
| A4c | in Redis with a replica; 3 Sentinels replace a primary that is silent for 1 s | none | \`redis-sentinel\` |
| A5 | in an encrypted cookie (iron-session) | none | \`cookie\` |
| A6a | in a signed token (JWT, jose) | none | \`jwt\` |
| A6b | same, and a central list of tokens that were logged out | none | \`jwt-deny\` |
| A7a | in the memory of their home, with a backup in one Redis without persistence | \`cookie-hash\`, fewest, and sessions move to a new server | \`home\` |
| A7b | same, the Redis with a replica and 3 Sentinels | same | \`home-sentinel\` |

Sessions are 1 KB of JSON. All else is one Express program; passwords are checked with a cheap scrypt (N = 128), so that
log-ins measure sessions. The store is on the same machine: a real network adds its round trip to every store operation
and every message between servers.`;

/** What a reader should not misunderstand. */
export const READING_TEXT = `## Reading the numbers

- **Crash and rolling restart, A1.** A killed server takes its share with it, nothing more. In a rolling restart a session
  that was moved can be lost again. The balancer gives a session of its own cookie to the next best server by the hash
  of its key, so that several balancers agree without a word: with four servers 1.58 log-ins per user. With \`learn\` it
  goes to a server that has less than its share, which is the one restarted before: 1 + 1/n = 1.25. With \`drain\` and patience it is fewer: each
  session that ends by itself before the server stops is not lost.
- **Restart of the balancer, A1.** The sealed cookie leads home without any table as long as the \`secret\` is configured.
  \`learn\` knows homes from its table only; \`sessions.file\` keeps the table over a restart, and is left out here on purpose.
- **A new server, A1.** Sessions stay where they are, so it fills only as fast as others end: with the fewest-first policy
  in about T·ln((n+1)/n), in turn only after 2 to 3 mean lives T.
- **A hung server, A2.** The others cut it off, and it comes back with old state. Until it has caught up it answers from
  that, and a write based on it wins by its later time. Replication needs more than a broadcast.
- **One store, A3 and A4.** It is the single point of failure, and everything is down with it; that it forgets as well is a
  matter of persistence. Sentinel makes an outage of seconds out of it, at the price of four more processes.
- **Deny list, A6b.** It revokes at once, and makes the token depend on a store again: down means everybody is refused.
- **A ban, by a call to one server.** It reaches what that server reaches: its own sessions only (A1), everybody's where
  they are shared, nobody where the client carries them, unless there is a list to ask (A6b).
- **A new key, A5 and A6.** Who keeps the old one for reading logs nobody out; who does not logs everybody out.
- **A full store, A4.** With \`noeviction\` those who are logged in can read, and nobody can write or log in.
- **At home with a backup, A7.** A read asks nobody, a write waits for one operation on the store, or for nothing while that
  is away. Only the death of a home whose changes the store has not had yet loses something.
- **Parallel writes.** Every architecture here reads the whole session and writes the whole session, so of two writes at
  once one is forgotten now and then; where the client carries the session, always.
- **Errors at a crash** are requests that were on the dead server, and writes sent in the milliseconds before the kernel
  has closed its sockets. Reads among them are tried again elsewhere, writes are not.`;

/** The measures and the verdicts. */
export const DEFINITIONS = `## What the words mean

Load is open loop: when each request is sent is fixed before the run from the seed, and latency counts from that time,
so a stall is not hidden by a client that waits. Each user has a cookie jar of its own and makes one request in each
period at a time of chance (4 in 10 write, 1 in 10 where most read). A user who learns that the session is gone logs in again at once. The
balancer is a process of its own with one thread; health checks every 500 ms, two failures take a server out.

- **acknowledged**: complete answer of 2xx or 3xx within 5 s.
- **lost session**: log-in acknowledged, no log-out, life not over, and a complete answer says "not logged in". Once per
  log-in. 0 losses of m sessions shows only that the rate is under 3/m with 95 % confidence.
- **errors**: answers of 5xx, refused or reset connections, truncated answers, no answer within 5 s.
- **unavailable**: number of 100 ms bins after the fault in which fewer than 99 % of the requests were answered by
  something other than an error. A bin holds about 24 requests, so a single error makes one.
- **older than what was confirmed** (regression): the counter in an answer is lower than one acknowledged before the
  request was sent.
- **lost updates**: of pairs of writes sent at once, acknowledged increments less the final counter.
- **PAR**: peak to average ratio, the fullest server over the mean; 1/PAR of the capacity is usable.
- **copies** (memory factor): bytes of session state in all servers and the store, over live sessions times their mean size.
  A Redis replica is one more copy that the servers cannot see.
- **log-out to last acceptance**: how long a copy of the cookie works after an acknowledged log-out; 0 where it never does.
- **brackets** come from the formula beside them and from nothing that was measured before: counts by chance are inside
  when they are within 3 standard deviations of the binomial, few rare events within 99.7 % of the Poisson
  distribution, what has no closed form within what 99.7 % of seeded trials of the theory give, outages within the sum
  of the configured waits. Where a formula needs a time of service, it is that of the same cell.
- **✓ inside**, **≈ explained** (outside, by an effect that has no formula but a known limit, named under Deviations),
  **✗ outside**. A verdict is given once per measurement and not changed. What can replace it is a second measurement,
  and that is written beside the number and under "Measured twice".
- **side by side**: cells with few users (sessions that grow, parallel writes, copied cookies, bans, keys, the full
  store) run three at a time; their measures do not depend on how fast the machine is.`;
