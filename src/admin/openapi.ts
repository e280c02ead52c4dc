// The admin API described for programs (OpenAPI 3.1): GET /api/openapi.json, and docs/api.md for people. A test holds it
// against the routes and against a real status document.

import { WEIGHT_MAX } from '../config/limits.ts';
import { PLAN_ACTIONS } from '../sessions/plan.ts';
import { SCHEMAS, type Schema, type SchemaName } from './openapi-schemas.ts';
import { MODES } from './server-change.ts';

interface Operation {
  readonly method: 'get' | 'patch' | 'post';
  /** With parameters as `{pool}`. */
  readonly path: string;
  readonly summary: string;
  /** What it answers when all is well. */
  readonly answer: string;
  readonly document?: SchemaName;
  readonly type?: string;
  /** Needs the token where one is configured, and no page of another site may ask. */
  readonly changes?: true;
  readonly query?: Readonly<Record<string, string>>;
  /** Properties of the JSON body. */
  readonly body?: Readonly<Record<string, Schema>>;
  /** What of the query, or of the body, must be there; `body`: the body itself. */
  readonly needs?: readonly string[];
  /** By status: when. */
  readonly errors?: Readonly<Record<number, string>>;
}

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain';
const NO_POOL = 'there is no such pool or server';
const BAD_TOKEN = 'a token is needed, or this one is wrong';

/** Every route of the API; the page's own files are not part of it. */
export const OPERATIONS: readonly Operation[] = [
  { method: 'get', path: '/healthz', summary: 'The process runs', answer: 'ok', type: TEXT_TYPE },
  {
    method: 'get',
    path: '/readyz',
    summary: 'Traffic should come here',
    answer: 'every pool has an eligible server',
    type: TEXT_TYPE,
    errors: { 503: 'not ready; a line for each reason' },
  },
  {
    method: 'get',
    path: '/metrics',
    summary: 'Metrics for Prometheus (OpenMetrics when asked by Accept)',
    answer: 'metrics.md has each',
    type: TEXT_TYPE,
  },
  {
    method: 'get',
    path: '/api/status',
    summary: 'Everything at once: what is wrong, pools, servers, sessions, skew',
    answer: 'how it is',
    document: 'Status',
  },
  {
    method: 'get',
    path: '/api/history',
    summary: 'Figures of the last hour',
    answer: 'for each pool lists of the same length, one value for each time',
    document: 'History',
  },
  {
    method: 'get',
    path: '/api/events/recent',
    summary: 'The last 500 events, oldest first',
    answer: 'the events',
    document: 'Events',
  },
  {
    method: 'get',
    path: '/api/events',
    summary: 'Server-sent events: `status` once a second, `change` when something happens',
    answer: 'a stream that does not end',
    type: 'text/event-stream',
    errors: { 503: 'too many streams' },
  },
  {
    method: 'get',
    path: '/api/openapi.json',
    summary: 'This description',
    answer: 'OpenAPI 3.1',
  },
  {
    method: 'patch',
    path: '/api/pools/{pool}/servers/{server}',
    summary: 'Change the mode or weight of a server',
    answer: 'the server as it is now',
    document: 'Changed',
    changes: true,
    body: {
      mode: { type: 'string', enum: MODES },
      weight: { type: 'number', minimum: 0, maximum: WEIGHT_MAX },
    },
    needs: ['body'],
    errors: {
      400: 'the body is not understood',
      404: NO_POOL,
      409: 'it cannot be now',
      415: 'the body is not JSON',
    },
  },
  {
    method: 'post',
    path: '/api/reload',
    summary: 'Read the configuration file again',
    answer: 'the number of the revision, and what it changes',
    document: 'Reloaded',
    changes: true,
    errors: { 409: 'the file is not valid: nothing has changed' },
  },
  {
    method: 'post',
    path: '/api/takeover',
    summary: 'For `holdfast run --takeover`: where the next process of the same user finds this one',
    answer: 'the directory',
    document: 'Takeover',
    changes: true,
    errors: { 409: 'this process cannot be replaced' },
  },
  {
    method: 'get',
    path: '/api/pools/{pool}/plan',
    summary: 'What a change would do to the sessions; changes nothing',
    answer: 'the plan',
    document: 'Plan',
    query: {
      action: PLAN_ACTIONS.join(', '),
      server: 'its name',
      weight: 'of a server to be added; 1 when absent',
    },
    needs: ['action', 'server'],
    errors: { 400: 'the query is not understood', 404: NO_POOL, 409: 'this process cannot tell' },
  },
  {
    method: 'get',
    path: '/api/pools/{pool}/explain',
    summary: 'Where a request would go, and why; a cookie in a URL ends up in logs, so programs use POST',
    answer: 'the explanation',
    document: 'Explanation',
    query: {
      cookie: 'value of the cookie',
      header: 'NAME:VALUE, several times',
      ip: 'the client',
      target: 'path and query',
    },
    errors: { 400: 'the query is not understood', 404: NO_POOL, 409: 'this process cannot tell' },
  },
  {
    method: 'post',
    path: '/api/pools/{pool}/explain',
    summary: 'Where a request would go, and why; changes nothing',
    answer: 'the explanation',
    document: 'Explanation',
    body: {
      cookie: { type: 'string' },
      headers: { type: 'object', additionalProperties: { type: 'string' } },
      ip: { type: 'string' },
      target: { type: 'string' },
    },
    errors: { 400: 'the body is not understood', 404: NO_POOL, 409: 'this process cannot tell' },
  },
];

/** The document of GET /api/openapi.json. */
export function openApiDocument(version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of OPERATIONS) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describe(operation) };
  }
  const error = {
    type: 'object',
    required: ['code', 'message'],
    properties: { code: { type: 'string' }, message: { type: 'string' } },
  };
  return {
    openapi: '3.1.0',
    info: { title: 'Holdfast admin API', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: {
        Error: { type: 'object', required: ['error'], properties: { error } },
        ...SCHEMAS,
      },
    },
  };
}

function describe(operation: Operation): object {
  const { path, summary, answer, document, changes, query = {}, body, needs = [] } = operation;
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = Object.entries(query).map(([name, description]) => ({
    name,
    in: 'query',
    required: needs.includes(name),
    description,
    schema: { type: 'string' },
  }));
  const schema = document === undefined ? {} : { $ref: `#/components/schemas/${document}` };
  // what answers with text says what is wrong as text too
  const error =
    operation.type === TEXT_TYPE
      ? { [TEXT_TYPE]: { schema: {} } }
      : { [JSON_TYPE]: { schema: { $ref: '#/components/schemas/Error' } } };
  const errors = Object.entries(errorsOf(operation)).map(([status, description]) => [
    status,
    { description, content: error },
  ]);
  return {
    summary,
    ...(changes === true ? { security: [{}, { token: [] }] } : {}),
    ...(inPath.length + inQuery.length > 0 ? { parameters: [...inPath, ...inQuery] } : {}),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: needs.includes('body'),
            content: { [JSON_TYPE]: { schema: { type: 'object', properties: body } } },
          },
        }),
    responses: {
      200: { description: answer, content: { [operation.type ?? JSON_TYPE]: { schema } } },
      ...Object.fromEntries(errors),
    },
  };
}

function errorsOf({ method, changes, errors = {} }: Operation): Readonly<Record<number, string>> {
  const guarded =
    changes === true ? { 401: BAD_TOKEN, 403: 'the request comes from a page of another site' } : {};
  const limited = method === 'get' ? {} : { 413: 'the body is too large' };
  return { ...errors, ...guarded, ...limited };
}

/** docs/api.md. */
export function apiReference(): string {
  const sections = OPERATIONS.map((operation) => {
    const { method, path, summary, answer, document, query = {}, body, changes } = operation;
    const facts = [
      ...Object.entries(query).map(([name, what]) => `| \`?${name}=\` | ${what} |`),
      ...Object.entries(body ?? {}).map(([name, schema]) => `| body \`${name}\` | ${shape(schema)} |`),
      `| 200 | ${answer}${document === undefined ? '' : `: ${linkTo(document)}`} |`,
      ...Object.entries(errorsOf(operation)).map(([status, when]) => `| ${status} | ${when} |`),
    ];
    const needs = changes === true ? ' Needs the token where one is configured.' : '';
    return `## ${method.toUpperCase()} ${path}\n\n${summary}.${needs}\n\n| | |\n|---|---|\n${facts.join('\n')}`;
  });
  return `# Admin API

Written by \`npm run docs\`. The same for programs: \`GET /api/openapi.json\` (OpenAPI 3.1). It listens on \`admin.address\`, beside the page.

    curl -s http://127.0.0.1:9090/api/status
    curl -s -X PATCH -H 'content-type: application/json' -d '{"mode":"drain"}' http://127.0.0.1:9090/api/pools/shop/servers/a
    curl -s 'http://127.0.0.1:9090/api/pools/shop/plan?action=remove&server=a'

With \`admin.token\` requests that change something carry \`Authorization: Bearer TOKEN\`. Errors are
\`{"error": {"code": "not-found", "message": "…"}}\` with the status below. On a loopback address only loopback names are served, so that no
page of another site can reach it. A body is at most 64 KiB.

${sections.join('\n\n')}

## The documents

More properties may come in a later version; those that are here stay.

${Object.entries(SCHEMAS)
  .map(([name, schema]) => `### ${name}\n\n| | |\n|---|---|\n${rowsOf(schema, '').join('\n')}`)
  .join('\n\n')}
`;
}

const linkTo = (document: string): string => `[${document}](#${document.toLowerCase()})`;

/** A row for each property; those of an object within it by their path: `skew.ratio`, `hottest[].key`. */
function rowsOf({ properties = {} }: Schema, before: string): readonly string[] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const { items } = schema;
    const inner = items?.properties === undefined ? schema : items;
    const path = `${before}${name}${inner === items ? '[]' : ''}`;
    return [`| \`${path}\` | ${shape(schema)} |`, ...rowsOf(inner, `${path}.`)];
  });
}

/** `string or null; what it is`. */
function shape({ type, $ref, items, description, enum: words }: Schema): string {
  if ($ref !== undefined) return linkTo($ref.slice($ref.lastIndexOf('/') + 1));
  const kind = [type ?? []].flat().join(' or ');
  const what =
    words === undefined
      ? kind + (items === undefined || items.properties !== undefined ? '' : ` of ${shape(items)}`)
      : words.map((word) => `\`${word}\``).join(', ');
  return description === undefined ? what : `${what}; ${description}`;
}
