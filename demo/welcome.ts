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
  /** The demo's own process, which starts again what is dead when it gets SIGUSR2. */
  readonly pid: number;
}

/** One server's name, address and process, as people read them. */
export function serverLine({ name, url, pid }: WelcomeFacts['backends'][number]): string {
  return `  server ${name}   ${url}   pid ${pid}`;
}

/** The text, ending in a line feed. Pure: the caller prints it. */
export function welcomeText(facts: WelcomeFacts): string {
  const { balancerUrl, adminUrl, backends } = facts;
  const lines = [
    `Holdfast demo: ${backends.length} servers, sessions: ${facts.architecture}`,
    '',
    `  open   ${balancerUrl}/   log in as alice, password ${DEMO_PASSWORD}`,
    `         ${adminUrl}/   dashboard        ${adminUrl}/metrics   Prometheus`,
    '',
    ...backends.map(serverLine),
    '',
    'Try, in another terminal in this folder:',
    ...script(facts).flatMap(({ title, commands }) => [
      '',
      `  ${title}`,
      ...commands.map((command) => `    ${command}`),
    ]),
    '',
    'Ctrl-C stops everything.',
  ];
  return `${lines.join('\n')}\n`;
}

interface Step {
  readonly title: string;
  /** For any shell: no comments, which zsh does not take at its prompt. */
  readonly commands: readonly string[];
}

/** Finds out which server is the user's, and does to that one what can happen to a server. */
function script(facts: WelcomeFacts): readonly Step[] {
  const { balancerUrl, adminUrl, architecture, storePid = 0 } = facts;
  const admin = adminUrl === 'http://127.0.0.1:9090' ? '' : ` --admin ${adminUrl}`;
  const url = balancerUrl === 'http://127.0.0.1:8080' ? '' : ` -- --url ${balancerUrl}`;
  // its certificate signs itself
  const isTls = balancerUrl.startsWith('https:');
  const logIn = `me login -d 'user=alice&password=${DEMO_PASSWORD}'`;
  const isLost = architecture === 'memory';
  return [
    {
      title: 'Log in, and see which server is yours. The same each time?',
      commands: [
        'jar=$(mktemp)',
        `me() { curl -s${isTls ? 'k' : ''} -b $jar -c $jar ${balancerUrl}/"$@"; echo; }`,
        logIn,
        'me whoami; me whoami; me whoami',
      ],
    },
    {
      title: `Kill that one. ${isLost ? 'Your session was in its memory: you are logged out, once.' : 'You are still logged in.'}`,
      commands: [`kill -9 $(me whoami | grep -o '"pid":[0-9]*' | cut -d: -f2)`, 'me whoami'],
    },
    {
      title: 'See what happened; start it again.',
      commands: [`npx holdfast events${admin}`, `npx holdfast status${admin}`, `kill -USR2 ${facts.pid}`],
    },
    {
      title: isLost
        ? 'Drain yours: it keeps its users until they leave, and gets no new ones.'
        : 'Drain yours: others serve its users, who stay logged in.',
      commands: [
        logIn,
        `mine=$(me whoami | grep -o '"server":"[a-z]' | cut -d'"' -f4)`,
        `npx holdfast drain demo/$mine${admin}`,
        'me whoami',
        'me logout -X POST',
        `npx holdfast status${admin}`,
        `npx holdfast ready demo/$mine${admin}`,
      ],
    },
    ...(storePid === 0
      ? []
      : [
          {
            title:
              architecture === 'home'
                ? 'Kill what keeps the backups: nobody notices. Start it again.'
                : 'Kill what keeps the sessions; start it again.',
            commands: [
              logIn,
              `kill -9 ${storePid}`,
              'me whoami',
              `kill -USR2 ${facts.pid}; sleep 2`,
              'me whoami',
            ],
          },
        ]),
    ...(isTls
      ? []
      : [
          {
            title: 'Fifty users for a minute: look at the dashboard and do it all again.',
            commands: [`npm run load${url}`],
          },
        ]),
  ];
}

/** Writes the welcome text to standard output. */
export function printWelcome(facts: WelcomeFacts): void {
  process.stdout.write(welcomeText(facts));
}
