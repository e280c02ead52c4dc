/** What the clients ask for: the requests of each scenario, byte for byte. */

/** Body lengths the backends serve at `/small` and `/large`. */
export const SMALL_BODY_BYTES = 128;
export const LARGE_BODY_BYTES = 100 * 1024;
/** Where servers that speak HTTP/2 answer calls of gRPC, and the bytes of a message either way. */
export const CALL_PATH = '/shop.Cart/Add';
export const MESSAGE_BYTES = 64;

/** The Host every client names; it resolves nowhere, since connections go to the loopback address. */
export const HOST = 'shop.example.test';

export type ScenarioName = 'browser' | 'small' | 'body100k' | 'browser-tls' | 'small-tls' | 'body100k-tls';

export type Scenario = {
  readonly name: ScenarioName;
  readonly title: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  /** Over TLS 1.3 with an ECDSA key; proxies that are not set up for it do not take part. */
  readonly isSecure: boolean;
  /** Application cookies that are sent before the affinity cookie. */
  readonly cookies: string;
  /** Bytes that each request sends after its head, or each message over an upgraded connection; absent: a GET without a body. */
  readonly sentBytes?: number;
};

const AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36';

const BROWSER_COOKIES = [
  '_visitor=GS1.1.1751328000.4.1.1751328900.60.0.0',
  'consent=necessary.preferences.statistics; theme=dark; currency=EUR',
  'connect.sid=s%3A8Qm2vJ4xT0cYb7WnKp3LrZs5Fd9Hg6Ea.Uo1Xi8Qy%2BTzRk5Vn2Bw7Mc4Jd9Lf3Pg6Sh0Ae',
  'cart=8f14e45f-ceea-467f-a830-5b3f1d2c9e77',
].join('; ');

const IN_THE_CLEAR: readonly Scenario[] = [
  {
    name: 'browser',
    title: 'Browser: 1.1 KB GET with 16 headers and cookies, small reply',
    path: '/small?category=lamps&page=2',
    isSecure: false,
    headers: [
      ['Connection', 'keep-alive'],
      ['Cache-Control', 'max-age=0'],
      ['sec-ch-ua', '"Not)A;Brand";v="8", "Chromium";v="138", "Browser";v="138"'],
      ['sec-ch-ua-mobile', '?0'],
      ['sec-ch-ua-platform', '"Linux"'],
      ['Upgrade-Insecure-Requests', '1'],
      ['User-Agent', AGENT],
      ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
      ['Sec-Fetch-Site', 'same-origin'],
      ['Sec-Fetch-Mode', 'navigate'],
      ['Sec-Fetch-User', '?1'],
      ['Sec-Fetch-Dest', 'document'],
      ['Referer', `http://${HOST}/small?category=lamps&page=1`],
      ['Accept-Encoding', 'gzip, deflate, br, zstd'],
      ['Accept-Language', 'en-GB,en;q=0.9,de;q=0.8'],
    ],
    cookies: BROWSER_COOKIES,
  },
  {
    name: 'small',
    title: 'Small: minimal request, small reply',
    path: '/small',
    isSecure: false,
    headers: [],
    cookies: '',
  },
  {
    name: 'body100k',
    title: 'Body: minimal request, 100 KB reply',
    path: '/large',
    isSecure: false,
    headers: [],
    cookies: '',
  },
];

const SECURE_NAMES = {
  browser: 'browser-tls',
  small: 'small-tls',
  body100k: 'body100k-tls',
} as const satisfies Partial<Record<ScenarioName, ScenarioName>>;

/** Each scenario, in the order of the report. */
export const SCENARIOS: readonly Scenario[] = [
  ...IN_THE_CLEAR,
  ...IN_THE_CLEAR.map((scenario) => ({
    ...scenario,
    name: SECURE_NAMES[scenario.name as keyof typeof SECURE_NAMES],
    title: `${scenario.title}, over TLS`,
    isSecure: true,
  })),
];

/** The Cookie value of one client: the application's cookies, then the balancer's. Empty when there are none. */
export function cookieValue(scenario: Scenario, affinity: string): string {
  return [scenario.cookies, affinity].filter((part) => part !== '').join('; ');
}

/** The request head as sent by one client that carries that affinity cookie (`name=value`, may be empty). */
export function requestBytes(scenario: Scenario, affinity: string): string {
  const cookie = cookieValue(scenario, affinity);
  const { sentBytes = 0 } = scenario;
  const lines = [`${sentBytes > 0 ? 'POST' : 'GET'} ${scenario.path} HTTP/1.1`, `Host: ${HOST}`];
  if (sentBytes > 0) lines.push(`Content-Length: ${sentBytes}`);
  for (const [name, value] of scenario.headers) lines.push(`${name}: ${value}`);
  if (cookie !== '') lines.push(`Cookie: ${cookie}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}
