// The one rule for tests that need a program which npm does not install: without it they are skipped and say why, but
// where CI=true they fail, so that a test nobody runs cannot pass for one that succeeds.

import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';

interface Program {
  /** Environment variable that names the program's path and wins over PATH. */
  readonly variable: string;
  /** Names to look for, the first found is taken. */
  readonly names: readonly string[];
  readonly debianPackage: string;
}

const PROGRAMS = {
  chromium: {
    variable: 'CHROMIUM',
    names: ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'],
    debianPackage: 'chromium',
  },
  fish: { variable: 'FISH', names: ['fish'], debianPackage: 'fish' },
  zsh: { variable: 'ZSH', names: ['zsh'], debianPackage: 'zsh' },
  haproxy: { variable: 'HAPROXY', names: ['haproxy', '/usr/sbin/haproxy'], debianPackage: 'haproxy' },
  nginx: { variable: 'NGINX', names: ['nginx', '/usr/sbin/nginx'], debianPackage: 'nginx' },
  openssl: { variable: 'OPENSSL', names: ['openssl'], debianPackage: 'openssl' },
  pebble: { variable: 'PEBBLE', names: ['pebble'], debianPackage: 'pebble' },
  php: { variable: 'PHP', names: ['php'], debianPackage: 'php-cli' },
  prometheus: { variable: 'PROMETHEUS', names: ['prometheus'], debianPackage: 'prometheus' },
  python3: { variable: 'PYTHON3', names: ['python3'], debianPackage: 'python3' },
  redis: { variable: 'REDIS_SERVER', names: ['redis-server'], debianPackage: 'redis-server' },
  // the system's: packages of Debian are for no other
  python: { variable: 'PYTHON', names: ['/usr/bin/python3'], debianPackage: 'python3-h2' },
  gunicorn: { variable: 'GUNICORN', names: ['gunicorn', 'gunicorn3'], debianPackage: 'gunicorn' },
  tomcat: {
    variable: 'CATALINA',
    names: ['/usr/share/tomcat10/bin/catalina.sh'],
    debianPackage: 'tomcat10',
  },
  curl: { variable: 'CURL', names: ['curl'], debianPackage: 'curl' },
  java: { variable: 'JAVA', names: ['java'], debianPackage: 'openjdk-17-jdk-headless' },
  nghttp: { variable: 'NGHTTP', names: ['nghttp'], debianPackage: 'nghttp2-client' },
  h2load: { variable: 'H2LOAD', names: ['h2load'], debianPackage: 'nghttp2-client' },
  script: { variable: 'SCRIPT', names: ['script'], debianPackage: 'bsdutils' },
  promtool: { variable: 'PROMTOOL', names: ['promtool'], debianPackage: 'prometheus' },
} as const satisfies Record<string, Program>;

export type NeededProgram = keyof typeof PROGRAMS;

/**
 * Path of the program. Without it `skip` (the test context's, which throws) is called with the reason; where CI=true
 * an error is thrown instead.
 */
export function needs(program: NeededProgram, skip: (reason: string) => never): string {
  const { variable, names, debianPackage } = PROGRAMS[program];
  const given = process.env[variable];
  const found = given !== undefined && given !== '' ? executable(given) : firstOnPath(names);
  if (found !== null) return found;
  const reason = `${program} was not found: set ${variable} or install the package ${debianPackage}`;
  if (process.env['CI'] === 'true') throw new Error(`${reason}; where CI=true tests are not skipped`);
  return skip(reason);
}

/** Path of a Python with hpack and hyperframe, the HTTP/2 of others. As `needs` where there is none. */
export function needsPythonHttp2(skip: (reason: string) => never): string {
  return needsPythonModules(['hpack', 'hyperframe'], 'python3-h2', skip);
}

/** Path of a Python with these modules. As `needs` where there is none. */
export function needsPythonModules(
  modules: readonly string[],
  debianPackage: string,
  skip: (reason: string) => never,
): string {
  const python = needs('python', skip);
  try {
    execFileSync(python, ['-c', `import ${modules.join(', ')}`], { stdio: 'ignore' });
    return python;
  } catch {
    const reason = `${python} has no ${modules.join(' or ')}: install the package ${debianPackage}`;
    if (process.env['CI'] === 'true') throw new Error(`${reason}; where CI=true tests are not skipped`);
    return skip(reason);
  }
}

/** Skips the test on a machine without the address: `::1` where IPv6 is off. */
export function needsAddress(address: string, skip: (reason: string) => never): void {
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  if (!address.startsWith('127.') && !own.some((one) => one.address === address))
    skip(`this machine has no address ${address}`);
}

function firstOnPath(names: readonly string[]): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute);
  for (const name of names) {
    for (const folder of isAbsolute(name) ? ['/'] : folders) {
      const path = executable(join(folder, name));
      if (path !== null) return path;
    }
  }
  return null;
}

function executable(path: string): string | null {
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return null;
  }
}
