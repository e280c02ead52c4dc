// "Did you mean": the nearest allowed word by edit distance.

const WORD_LENGTH_MAX = 64;

/** The nearest of `allowed` when it is near enough to be a slip of the fingers, else null. */
export function suggest(written: string, allowed: readonly string[]): string | null {
  if (written.length > WORD_LENGTH_MAX) return null;
  const wanted = fold(written);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const word of allowed) {
    const distance = editDistance(wanted, fold(word));
    if (distance < bestDistance) {
      best = word;
      bestDistance = distance;
    }
  }
  return best;
}

/** `, did you mean "x"?` or nothing. */
export function didYouMean(written: string, allowed: readonly string[]): string {
  const word = suggest(written, allowed);
  return word === null ? '' : `, did you mean "${word}"?`;
}

/** Words of other balancers, folded as below: ours, or where ours stands. */
const OF_OTHERS: Readonly<Record<string, string | { readonly see: string }>> = {
  leastconn: 'least-connections',
  leastrequest: 'least-connections',
  leasttime: 'least-time',
  roundrobin: 'round-robin',
  staticrr: 'round-robin',
  wrr: 'round-robin',
  random: 'random-two',
  p2c: 'random-two',
  iphash: { see: 'sticky.mode: address-hash' },
  source: { see: 'sticky.mode: address-hash' },
  hash: { see: 'sticky.mode: header-hash or address-hash' },
  ringhash: { see: 'sticky.mode: cookie-hash' },
  maglev: { see: 'sticky.mode: cookie-hash' },
  hdr: { see: 'sticky.mode: header-hash' },
  backend: 'pools',
  backends: 'pools',
  upstream: 'pools',
  upstreams: 'pools',
  clusters: 'pools',
  bind: 'listen',
  entrypoints: 'listen',
  frontend: 'listen',
  balance: 'policy',
  lbpolicy: 'policy',
  server: 'servers',
  targets: 'servers',
  maxconn: 'maxConnections',
  maxconns: 'maxConnections',
  maxfails: { see: 'passive.failures' },
  failtimeout: { see: 'passive.eject' },
  observe: { see: 'passive' },
  outlierdetection: { see: 'passive' },
  check: 'health',
  healthcheck: 'health',
  inter: 'interval',
  unhealthythreshold: 'fall',
  healthythreshold: 'rise',
  redispatch: { see: 'sticky.whenDown: move' },
  maxidle: 'idle',
  maxlife: 'life',
  disabled: { see: 'mode: maintenance' },
  down: { see: 'mode: maintenance' },
  curves: 'groups',
  curvepreferences: 'groups',
  ecdhcurve: 'groups',
  sslecdhcurve: 'groups',
  slowstart: 'slowStart',
};

/** As didYouMean, for keys and words of the configuration: knows what HAProxy, nginx, Envoy and Traefik call it. */
export function didYouMeanOurs(written: string, allowed: readonly string[]): string {
  const ours = OF_OTHERS[fold(written)];
  if (typeof ours === 'string' && allowed.includes(ours)) return `, did you mean "${ours}"?`;
  const near = didYouMean(written, allowed);
  return near === '' && typeof ours === 'object' ? `; in Holdfast that is ${ours.see}` : near;
}

/** Case and separators are the usual slips: keep_alive, keep-alive and KeepAlive are all keepAlive. */
function fold(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, '');
}

/** Optimal string alignment: insert, delete, replace, swap neighbours. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1];
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (isSame ? 0 : 1));
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwap) cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? 0;
}
