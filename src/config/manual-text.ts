// The prose of docs/configuration.md. What a single key means stands in schema.ts.

/** Notes under the heading of a section, by its title. */
export const SECTION_NOTES: Readonly<Record<string, string>> = {
  'listen[]': `Two listeners must not have the same address, unless the port is 0. \`:8080\` is every IPv4 address; \`[::]:8080\` is every
IPv6 and, on most systems, IPv4 address.`,
  'routes[]': `Routes are tried from the top; the first whose host and path both match wins. With more than one pool, routes are
required, and a route that an earlier one hides completely is a warning. A request that no route matches is answered with 404.`,
  admin: `Without a token anyone who can connect may change server modes. An address that other machines can reach
therefore requires a token.`,
  accessLog: `One JSON object per line, for every request: \`time\`, \`requestId\` (that of x-request-id, which own replies have too), \`traceId\`, \`client\`, \`method\`,
\`target\`, \`host\`, \`status\` (0: no reply was possible), \`pool\`, \`server\`, \`attempts\` (when there was more than one: server and outcome),
\`affinity\` (as in holdfast_affinity_decisions_total), \`ms\` (\`queue\`, \`connect\`, \`firstByte\`, \`total\`), \`bytesIn\`, \`bytesOut\`, \`endedBy\`
(client, server or self), \`error\` (the kind, as in x-holdfast-error) and \`sampled\` (the share that is logged). Lines go to standard output,
where otherwise only the addresses stand; the log of the program itself is on standard error. A reader that does not keep up never holds
a request: lines are dropped then, and counted in holdfast_access_log_dropped_total.`,
  'listen[].rateLimit': `As that of a route (below), for all requests of this listener together that a route without a limit of its own takes.
At most 64 listeners and routes may have one.`,
  'routes[].rateLimit': `Counted over all threads together, in shared memory of fixed size in which no client is stored. Of an IPv6 address the first 64
bits count. A request over the limit gets 429 with Retry-After; a connection is kept.`,
  'pools.NAME': `A name has letters, digits and \`. _ : -\`. It stands in commands (\`holdfast drain shop/a\`), metrics and pages.`,
  'pools.NAME.sticky': `| mode | what identifies the session | who remembers its home |
|---|---|---|
| \`cookie-hash\` | a cookie | nobody has to: the hash names it. With a cookie of the application, the server that set it is learned |
| \`cookie-pin\` | the balancer's cookie | the cookie, sealed; new servers get only new sessions |
| \`learn\` | a cookie or a header of the application | the session table |
| \`header-hash\` | a header | the hash |
| \`address-hash\` | the client's address | the hash |

\`learn\` needs one of \`cookie\`, \`header\` and \`from\`; \`header-hash\` needs \`header\` or \`from\`. A key that the mode does not read is a warning. So is a
cookie that is known to have another value again and again (\`session\` of Flask and cookie-session, \`koa.sess\`, \`_NAME_session\` of Rails, \`rack.session\`,
\`laravel_session\`, \`PLAY_SESSION\`, \`authjs.session-token\`) with \`learn\` and \`cookie-hash\`: each value has to be learned, and what is learned does not outlast a restart.
Use \`cookie-hash\` without \`cookie\` there. A value that changes at log-in only (PHP, Tomcat, express-session) is what \`learn\` is for.`,
  'pools.NAME.sticky.attributes': `Browsers drop a cookie that breaks their rules without a word, and the affinity with it. So these are errors, for cookies
the balancer sets: \`__Host-\` and \`__Secure-\` names without \`secure: true\` (with \`auto\` who comes in the clear gets none; say it when all come over
TLS); \`__Host-\` with a \`domain\` or a \`path\` other than \`/\`; \`sameSite: None\` or \`partitioned\` with \`secure: false\`. With
\`secure: auto\` the last two are warnings.`,
  'pools.NAME.health': `A server may say of itself in the reply to a check with \`path\`: \`x-holdfast-server: drain\` (no new sessions, those it has
as with the mode drain), \`full\` (no new sessions), \`weight=N\` (instead of the configured weight), or several with commas. Without the field
it is ready. What the operator has set stands above it. \`x-holdfast-unbacked: N\` says how many sessions only this server has although \`state\`
is \`shared\`: until it says 0, or nothing, none of its sessions is moved while it lives. In any response \`x-holdfast-session: end\` ends the session of the request, and
takes the balancer's cookie away. Fields that begin with \`x-holdfast-\` are never passed on.`,
  'pools.NAME.rebalance': `\`start\` must be above \`stop\`. Moving sessions away from servers that keep them in memory would lose them, so any mode
but \`off\` needs \`state: shared\`.`,
  'pools.NAME.servers[]': `The URL is scheme, host, port and a path, which is put before the client's, or a unix socket. To choose by path, write
[routes](#routes).

An entry \`{ dns: … }\` or \`{ file: … }\` stands for all servers that are found there, named host:port. One that appears is new like one of a
reload; one that is not found any more drains: no new sessions, those it has stay until they end, at most an hour. A look that fails or
finds nothing keeps the last answer, over a takeover and, with \`sessions.file\`, a restart too; where one target of an SRV answer cannot be
asked for, its servers stay as they are. Names are found as every program of the machine finds them (hosts file, search list), unless
\`resolver\` names servers to ask instead. A name in a URL is looked up by the system for each connection, with a dot at its end (\`http://app.shop.svc.cluster.local.\`) without the
search list of the machine; TLS, \`host: server\` and what the server is called leave the dot out. While a look fails or takes long
the last answer stands. Beyond the 1024 servers that all pools may have together, newcomers are left out with a warning; those in use stay.`,
};

export const MANUAL_BEFORE = `# Configuration

<!-- Generated from src/config/schema.ts by "npm run docs". Do not edit. -->

One YAML file. The smallest one:

\`\`\`yaml
pools:
  shop:
    servers:
      - http://127.0.0.1:3001
      - http://127.0.0.1:3002
\`\`\`

This listens on port 8080, shares requests evenly, checks the servers by TCP connects and serves dashboard, API and metrics on
127.0.0.1:9090. [config/reference.yaml](../config/reference.yaml) shows every key; the other files in [config/](../config) are
examples by purpose.

## Checking

    holdfast check --config FILE            valid or not: every problem at once, as FILE:LINE:COLUMN: message
    holdfast check --config FILE --print    what it comes to, with all defaults; secrets are shown as ***
    holdfast check --schema                 the JSON Schema

Exit status: 0 valid, 1 invalid, 2 wrong usage. Warnings name what works but is probably not meant; they do not change the status.
A reload (SIGHUP, \`holdfast reload\`) checks first: a configuration with problems changes nothing.

Editors with a YAML language server complete and check keys when the file begins with

\`\`\`yaml
# yaml-language-server: $schema=./holdfast.schema.json
\`\`\`

## Values

| type | spelling |
|---|---|
| duration | \`0\`, \`250ms\`, \`5s\`, \`30m\`, \`12h\`, \`7d\`, \`1h30m\` |
| size | bytes, or \`64KiB\`, \`1MiB\`, \`2GiB\` (powers of 1024), \`10KB\`, \`10MB\`, \`1GB\` (powers of 1000) |
| percent | \`20%\`, \`2.5%\` |
| status ranges | \`200-399\`, \`204\`, \`[200, 301-303]\` |
| address | \`127.0.0.1:8080\`, \`[::1]:8080\`, \`:8080\`; port 0 lets the system choose |
| IP or CIDR | \`10.0.0.0/8\`, \`192.0.2.7\`, \`"::1"\` |

\`off\` is a plain word. Unknown keys, keys written twice and values out of range are errors. Anchors, aliases and \`<<\` work.

### Environment variables

\`\${NAME}\` in a value is replaced by the environment variable, also inside longer text. \`\${NAME:-default}\` gives a default, which
also stands in for an empty variable. A variable that is missing without a default is an error. \`$\${\` stands for the two
characters \`\${\`. Keys are never replaced, and what a variable contains is text, never YAML. Where a number or a boolean is
expected, its text is read as one: \`threads: \${THREADS:-4}\`. Within \`{ }\` and \`[ ]\` YAML wants quotes: \`{ weight: "\${WEIGHT}" }\`.

## Keys`;

export const MANUAL_AFTER = `## Limits

The file may have 4 MiB, 200 000 values (aliases expanded) and 32 levels. There may be 64 listeners, 4096 routes, 256 pools, 1024
servers in all pools together and 1024 trusted networks.`;
