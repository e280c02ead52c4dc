// Dockerfile, compose file, systemd unit and Kubernetes manifest: read as what they are, and held against the
// configuration, the admin server and the files they name. No container engine is needed.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { unsafeNode } from '../../src/base/safe-node.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ENV = { HOLDFAST_ADMIN_TOKEN: 'token', HOLDFAST_SECRET: 'sixteen-characters-or-more' };
const ADMIN_ROUTES = readFileSync(join(ROOT, 'src/admin/routes.ts'), 'utf8');

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** The configuration; fails with its problems. */
function load(text: string): HoldfastConfig {
  const { config, problems, warnings } = loadConfig(text, { file: 'holdfast.yaml', env: ENV });
  expect([...problems, ...warnings]).toEqual([]);
  return config as HoldfastConfig;
}

const config = load(read('docs/deploy/holdfast.yaml'));
const PORTS = [config.listen[0]?.port, config.admin?.port];

test('the configuration needs a token and has the ports that everything names', () => {
  expect(PORTS).toEqual([8080, 9090]);
  const { problems } = loadConfig(read('docs/deploy/holdfast.yaml'), { file: 'x', env: {} });
  expect(problems.map(({ message }) => message).join()).toContain('HOLDFAST_ADMIN_TOKEN');
});

describe('Dockerfile', () => {
  const INSTRUCTIONS =
    'FROM WORKDIR COPY RUN ENV USER VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD'.split(' ');
  const lines = read('Dockerfile')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({
      instruction: line.split(' ')[0] ?? '',
      rest: line.slice(line.indexOf(' ') + 1).trim(),
    }));
  const last = (instruction: string): string =>
    lines.findLast((line) => line.instruction === instruction)?.rest ?? '';

  test('has only instructions that there are, and runs as an unprivileged user', () => {
    expect(
      lines.map(({ instruction }) => instruction).filter((name) => !INSTRUCTIONS.includes(name)),
    ).toEqual([]);
    expect(last('USER')).toBe('node');
    const afterUser = lines.slice(lines.findLastIndex(({ instruction }) => instruction === 'USER') + 1);
    expect(afterUser.filter(({ instruction }) => instruction === 'RUN' || instruction === 'COPY')).toEqual(
      [],
    );
  });

  test('has, as the compose file, one Node, against which nothing is known', () => {
    const images = [...`${read('Dockerfile')}${read('compose.yaml')}`.matchAll(/\bnode:(\S+?)-slim\b/g)];
    const [version = '', ...others] = new Set(images.map(([, found]) => found));
    expect([images.length, others, unsafeNode(version)]).toEqual([3, [], null]);
  });

  test('copies files that exist and that .dockerignore lets through', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = lines
      .filter(({ instruction, rest }) => instruction === 'COPY' && !rest.startsWith('--from'))
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1));
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    expect(
      copied.filter((path) => !allowed.some((prefix) => path === prefix || path.startsWith(`${prefix}/`))),
    ).toEqual([]);
  });

  test('exposes the configured ports, checks a path that the admin server has, runs a command that there is', () => {
    expect(last('EXPOSE').split(' ').map(Number)).toEqual(PORTS);
    expect(last('HEALTHCHECK')).toContain(`http://127.0.0.1:${PORTS[1]}/healthz`);
    expect(ADMIN_ROUTES).toContain("app.get('/healthz'");
    const [, launcher = ''] = JSON.parse(last('ENTRYPOINT')) as string[];
    const command = JSON.parse(last('CMD')) as string[];
    expect(existsSync(join(ROOT, launcher.replace('/opt/holdfast/', '')))).toBe(true);
    expect(command.slice(0, 2)).toEqual(['run', '--config']);
    expect(
      lines.some(({ instruction, rest }) => instruction === 'COPY' && rest.endsWith(` ${command[2]}`)),
    ).toBe(true);
    expect(last('VOLUME')).toBe('/var/lib/holdfast');
    expect(config.sessions.file).toMatch(/^\/var\/lib\/holdfast\//);
  });
});

interface ComposeService {
  image?: string;
  build?: string;
  user?: string;
  privileged?: boolean;
  ports?: string[];
  volumes?: string[];
  depends_on?: string[];
  environment?: Record<string, string>;
  stop_grace_period?: string;
  [key: string]: unknown;
}

describe('compose.yaml', () => {
  const compose: { services: Record<string, ComposeService>; volumes: object } = parse(read('compose.yaml'), {
    merge: true,
  });
  const services = Object.entries(compose.services);

  test('names images by version, mounts files that exist, depends on services that exist', () => {
    for (const [name, service] of services) {
      expect([name, service.build === '.' || /:v?\d/.test(service.image ?? '')]).toEqual([name, true]);
      expect([name, service.privileged ?? false]).toEqual([name, false]);
      for (const volume of service.volumes ?? []) {
        const [from = ''] = volume.split(':');
        const exists = from.startsWith('.')
          ? existsSync(join(ROOT, from))
          : Object.hasOwn(compose.volumes, from);
        expect([volume, exists]).toEqual([volume, true]);
      }
      expect((service.depends_on ?? []).filter((other) => compose.services[other] === undefined)).toEqual([]);
    }
  });

  test('substitutes nothing but variables', () => {
    const written = read('compose.yaml').match(/\$[^\n ]*/g) ?? [];
    expect(written.filter((text) => !/^\$(\{HOLDFAST_[A-Z_]+:[-?]|\(openssl)/.test(text))).toEqual([]);
  });

  test('publishes the configured ports, the admin port on loopback only', () => {
    const {
      ports = [],
      environment = {},
      stop_grace_period: grace = '',
    } = compose.services['holdfast'] ?? {};
    expect(ports).toEqual([`8080:${PORTS[0]}`, `127.0.0.1:9090:${PORTS[1]}`]);
    expect(environment['HOLDFAST_ADMIN_TOKEN']).toMatch(/^\$\{HOLDFAST_ADMIN_TOKEN:\?/);
    expect(Number.parseInt(grace, 10) * 1000).toBeGreaterThan(config.shutdown.graceMs);
  });

  test('the configured servers are services, Prometheus scrapes Holdfast, Grafana asks Prometheus', () => {
    const hosts = config.pools.flatMap(({ servers }) => servers.map(({ host }) => host));
    expect(hosts.filter((host) => compose.services[host] === undefined)).toEqual([]);
    const scrape = parse(read('docs/deploy/prometheus.yml'));
    expect(scrape.scrape_configs[0].static_configs[0].targets).toEqual([`holdfast:${PORTS[1]}`]);
    expect(compose.services['grafana']?.environment).toEqual({ PROMETHEUS_URL: 'http://prometheus:9090' });
    expect(read('grafana/provisioning/datasources/prometheus.yml')).toMatch(/^ +url: \$PROMETHEUS_URL$/m);
    expect(read('grafana/provisioning/dashboards/holdfast.yml')).toContain('path: /etc/grafana/dashboards');
  });
});

describe('kubernetes.yaml', () => {
  const documents = parseAllDocuments(read('docs/deploy/kubernetes.yaml'));
  const kinds = new Map(documents.map((document) => [String(document.get('kind')), document.toJS()]));
  const pod = kinds.get('Deployment').spec.template.spec;
  const [container] = pod.containers;

  test('is valid YAML of the kinds that are needed', () => {
    expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
    expect([...kinds.keys()]).toEqual(['ConfigMap', 'Deployment', 'Service', 'PodDisruptionBudget']);
    const labels = kinds.get('Deployment').spec.template.metadata.labels;
    for (const kind of ['Deployment', 'PodDisruptionBudget']) {
      expect(kinds.get(kind).spec.selector.matchLabels).toEqual(labels);
    }
    expect(kinds.get('Service').spec.selector).toEqual(labels);
  });

  test('its configuration is valid, has the ports of the container and variables that are set', () => {
    const mounted = load(kinds.get('ConfigMap').data['holdfast.yaml']);
    const ports = container.ports.map(({ containerPort }: { containerPort: number }) => containerPort);
    expect(ports).toEqual([mounted.listen[0]?.port, mounted.admin?.port]);
    expect(container.env.map(({ name }: { name: string }) => name)).toEqual(Object.keys(ENV));
    expect(container.image).toBe(`holdfast:${JSON.parse(read('package.json')).version}`);
    const [{ mountPath }] = container.volumeMounts;
    expect(read('Dockerfile')).toContain(`"--config", "${mountPath}/holdfast.yaml"`);
  });

  test('probes paths of the admin server, waits before it stops, and may take as long as it needs', () => {
    for (const [probe, path] of [
      ['readinessProbe', '/readyz'],
      ['livenessProbe', '/healthz'],
    ] as const) {
      expect(container[probe].httpGet).toEqual({ path, port: 'admin' });
      expect(ADMIN_ROUTES).toContain(`app.get('${path}'`);
    }
    const waitMs = Number(
      /(\d[\d_]*)\)/.exec(container.lifecycle.preStop.exec.command[2])?.[1]?.replaceAll('_', ''),
    );
    const { shutdown } = load(kinds.get('ConfigMap').data['holdfast.yaml']);
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(waitMs + shutdown.graceMs);
  });

  test('runs without privileges', () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });
});

describe('holdfast.service', () => {
  const unit = read('docs/deploy/holdfast.service');
  const values = (key: string): string[] =>
    [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map((match) => match[1] ?? '');

  test('starts and checks the same configuration, reloads by SIGHUP, has time to finish', () => {
    const file = '/etc/holdfast/holdfast.yaml';
    expect(values('ExecStart')).toEqual([`/usr/local/bin/holdfast run --config ${file}`]);
    expect(values('ExecReload')).toEqual([
      `/usr/local/bin/holdfast check --config ${file}`,
      '/bin/kill -HUP $MAINPID',
    ]);
    expect(Number.parseInt(values('TimeoutStopSec')[0] ?? '', 10) * 1000).toBeGreaterThan(
      config.shutdown.graceMs,
    );
    expect(config.sessions.file).toMatch(new RegExp(`^/var/lib/${values('StateDirectory')[0]}/`));
  });

  test('is hardened, but lets V8 make machine code', () => {
    for (const key of ['DynamicUser', 'NoNewPrivileges', 'ProtectHome', 'PrivateTmp'])
      expect(values(key)).toEqual(['yes']);
    expect(values('ProtectSystem')).toEqual(['strict']);
    expect(values('MemoryDenyWriteExecute')).toEqual([]);
    expect(values('User')).toEqual([]);
  });

  test('systemd finds nothing wrong with it', ({ skip }) => {
    if (spawnSync('systemd-analyze', ['--version']).error !== undefined)
      skip('systemd-analyze is not installed');
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-unit-'));
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
    const file = join(directory, 'holdfast.service');
    // verify wants the program to be there
    writeFileSync(file, unit.replaceAll('/usr/local/bin/holdfast', '/bin/true'));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
      encoding: 'utf8',
    });
    const ours = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('holdfast.service'));
    expect([ours, status]).toEqual([[], 0]);
  });
});
