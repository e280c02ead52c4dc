// The script of the demo page: asks /whoami once a second and draws which server answered.

/** Contents of the page's script element. Plain JavaScript; texts from servers go in as text, never as markup. */
export const pageScript = `
const STRIP = 30, EVERY_MS = 1000, WAIT_MS = 4000;
const part = (id) => document.getElementById(id);
const answers = [];
// A colour for each server that stays the same from page to page: the golden angle keeps neighbours apart.
const hue = (name) => {
  let sum = 0;
  for (const character of name) sum = sum * 31 + character.codePointAt(0);
  return Math.round(((sum - 97) * 137.508 + 160) % 360);
};

function draw() {
  const strip = part('strip');
  strip.replaceChildren();
  for (let index = 0; index < STRIP; index += 1) {
    const answer = answers[index - (STRIP - answers.length)];
    const item = document.createElement('li');
    if (answer === undefined) item.className = 'empty';
    else {
      item.className = answer.kind;
      item.textContent = answer.kind === 'error' ? '!' : answer.server;
      item.title = answer.title;
      if (answer.server !== '') item.style.setProperty('--hue', hue(answer.server));
    }
    strip.append(item);
  }
  const counts = new Map();
  for (const { server } of answers) if (server !== '') counts.set(server, (counts.get(server) ?? 0) + 1);
  const names = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  part('summary').textContent = names.map(([name, count]) => name + ' ' + count).join(' · ');
}

function show(status, body, server) {
  const loggedIn = status === 200;
  if (server !== '') {
    part('server').textContent = server;
    part('server').classList.toggle('long', server.length > 2);
    part('server').style.setProperty('--hue', hue(server));
    part('by').textContent = 'answered by server ' + server;
  }
  if (status === 200 || status === 401) {
    part('who').textContent = loggedIn ? body.user : 'not logged in';
    part('login').hidden = loggedIn;
    part('session').hidden = !loggedIn;
  }
  if (loggedIn) part('counter').textContent = body.counter;
  if ('isBacked' in body) part('backup').textContent = body.isBacked ? 'backed up in Redis' : 'on this server alone: no backup';
}

// A screen reader announces changes only; writing the same text again would be one.
function say(text) {
  if (part('message').textContent !== text) part('message').textContent = text;
}

async function ask(path, init) {
  let answer = { kind: 'error', server: '', title: 'no answer' };
  try {
    const response = await fetch(path, { ...init, cache: 'no-store', signal: AbortSignal.timeout(WAIT_MS) });
    const server = response.headers.get('x-served-by') ?? '';
    const body = await response.json().catch(() => ({}));
    const kind = response.ok ? 'in' : response.status === 401 ? 'out' : 'error';
    answer = { kind, server, title: path + ': ' + response.status + ' from ' + (server || 'the balancer') };
    const isFine = response.ok || path === '/whoami' && response.status === 401;
    if (!isFine) say(body.message ?? 'status ' + response.status);
    else if (path !== '/whoami' || response.ok) say('');
    if (path === '/whoami' || path === '/inc') show(response.status, body, server);
    return response.ok;
  } catch {
    say('no answer');
    return false;
  } finally {
    answers.push(answer);
    if (answers.length > STRIP) answers.shift();
    draw();
  }
}

const json = (value) => ({ method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
part('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const ok = await ask('/login', json(Object.fromEntries(new FormData(event.target))));
  if (ok) await ask('/whoami');
});
part('increment').addEventListener('click', () => ask('/inc', { method: 'POST' }));
part('logout').addEventListener('click', async () => {
  await ask('/logout', { method: 'POST' });
  await ask('/whoami');
});

async function live() {
  if (part('live').checked && document.visibilityState === 'visible') await ask('/whoami');
  setTimeout(live, EVERY_MS);
}
live();
`;
