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

Sessions are 1 KB of JSON. All else is one Express program; passwords are checked with a cheap scrypt (N = 128), so that
log-ins measure sessions. The store is on the same machine: a real network adds its round trip to every store operation
and every message between servers.`;

/** What a reader should not misunderstand. */
export const READING_TEXT = `## Reading the numbers

- **Crash and rolling restart, A1.** A killed server takes its share with it, nothing more. In a rolling restart a session
  that was moved can be lost again. The balancer gives a homeless session to the next best server by the hash of its key,
  so that several balancers agree without a word: 1.62 log-ins per user with four servers. Were it the server with the
  fewest, which is the one restarted before, it would be 1 + 1/n = 1.25. With \`drain\` and patience it is fewer: each
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
- **Parallel writes.** Every architecture here reads the whole session and writes the whole session, so of two writes at
  once one is forgotten now and then; where the client carries the session, always.
- **Errors at a crash** are requests that were on the dead server, and writes sent in the milliseconds before the kernel
  has closed its sockets. Reads among them are tried again elsewhere, writes are not.`;
