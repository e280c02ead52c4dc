// What `holdfast demo` prints when everything runs: what to open, and commands that work when pasted.
import type { DemoBackend } from './launch.ts';
import type { Architecture } from './session-layer.ts';
import { DEMO_PASSWORD } from './users.ts';

/** What the welcome text names. */
export interface WelcomeFacts {
  readonly architecture: Architecture;
  readonly backends: readonly Pick<DemoBackend, 'name' | 'url' | 'pid'>[];
  /** Process that holds the sessions outside the backends; 0 when there is none. */
  readonly storePid?: number;
  readonly balancerUrl: string;
  readonly adminUrl: string;
  /** How the user calls the command; default `npx holdfast`. */
  readonly command?: string;
}

/** The text, ending in a line feed. Pure: the caller prints it. */
export function welcomeText(facts: WelcomeFacts): string {
  const { balancerUrl, adminUrl, backends } = facts;
  const command = facts.command ?? 'npx holdfast';
  const admin = adminUrl === 'http://127.0.0.1:9090' ? '' : ` --admin ${adminUrl}`;
  // its certificate signs itself
  const curl = balancerUrl.startsWith('https:') ? 'curl -sk' : 'curl -s';
  const [first] = backends;
  const lines = [
    `Holdfast demo: ${backends.length} servers, sessions: ${facts.architecture}`,
    '',
    `  open   ${balancerUrl}/   log in as alice, password ${DEMO_PASSWORD}`,
    `         ${adminUrl}/   dashboard        ${adminUrl}/metrics   Prometheus`,
    '',
    ...backends.map(({ name, url, pid }) => `  server ${name}   ${url}   pid ${pid}`),
    '',
    'Try, in another terminal:',
    '',
    '  jar=$(mktemp)',
    `  ${curl} -c $jar -b $jar -d 'user=alice&password=${DEMO_PASSWORD}' ${balancerUrl}/login`,
    `  ${curl} -c $jar -b $jar -X POST ${balancerUrl}/inc`,
    `  for i in 1 2 3 4; do ${curl} -c $jar -b $jar ${balancerUrl}/whoami; echo; done`,
    '',
    ...(first === undefined
      ? []
      : [
          `  kill -9 ${first.pid}${' '.repeat(24 - String(first.pid).length)}# server ${first.name} dies; who notices?`,
          `  ${command} drain demo/${first.name}${admin}     # or let it go gently; back with: ready demo/${first.name}`,
        ]),
    ...(facts.storePid
      ? [
          `  kill -9 ${facts.storePid}${' '.repeat(24 - String(facts.storePid).length)}# the session store dies`,
        ]
      : []),
    `  ${command} status --watch${admin}`,
    '',
    'Ctrl-C stops everything.',
  ];
  return `${lines.join('\n')}\n`;
}

/** Writes the welcome text to standard output. */
export function printWelcome(facts: WelcomeFacts): void {
  process.stdout.write(welcomeText(facts));
}
