// The page at `/`: a table of servers from the event stream. Plain text in TypeScript, so that it needs no build.

export const PAGE_HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page.css">
<script type="module" src="/page.js"></script>
</head>
<body>
<header><h1>Holdfast</h1><p id="summary" aria-live="polite">connecting</p></header>
<main id="pools"></main>
</body>
</html>
`;

export const PAGE_STYLE = `:root { color-scheme: light dark; }
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; }
h1 { font-size: 1.3rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 1.5rem 0 0.3rem; }
p { margin: 0.2rem 0; opacity: 0.8; }
main { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.8rem; text-align: right; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2), th:nth-child(3), td:nth-child(3) { text-align: left; }
.down, .ejected { color: #d33; font-weight: 600; }
.starting { color: #a70; }
`;

export const PAGE_SCRIPT = `const COLUMNS = ['name', 'state', 'mode', 'weight', 'sessions', 'inFlight', 'requests', 'failures'];
const HEADINGS = ['server', 'state', 'mode', 'weight', 'sessions', 'in flight', 'requests', 'failures'];

function element(tag, text, className = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function row(tag, texts, classNames = []) {
  const made = document.createElement('tr');
  texts.forEach((text, index) => made.append(element(tag, text, classNames[index])));
  return made;
}

function section(pool) {
  const made = document.createElement('section');
  made.append(element('h2', pool.name));
  const { ratio, floor } = pool.skew;
  made.append(element('p', pool.policy + ', sticky ' + pool.sticky + ', ' + pool.sessions + ' sessions, skew '
    + ratio.toFixed(2) + ' (chance would give ' + floor.toFixed(2) + ')'));
  const table = document.createElement('table');
  table.append(row('th', HEADINGS));
  for (const server of pool.servers) {
    table.append(row('td', COLUMNS.map((column) => String(server[column])), ['', server.state]));
  }
  made.append(table);
  return made;
}

const summary = document.getElementById('summary');
const events = new EventSource('/api/events');
events.addEventListener('status', (event) => {
  const status = JSON.parse(event.data);
  summary.textContent = 'version ' + status.version + ', revision ' + status.revision + ', ' + status.threads
    + ' threads, up ' + Math.floor(status.uptimeSeconds) + ' s';
  document.getElementById('pools').replaceChildren(...status.pools.map(section));
});
events.addEventListener('error', () => { summary.textContent = 'connection lost, trying again'; });
`;
