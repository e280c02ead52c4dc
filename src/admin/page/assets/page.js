// The dashboard: follows the event stream and shows what it says.

import { ChangeDialog } from './page/change-dialog.js';
import { byId, element, setAttribute, setText } from './page/dom.js';
import { EventLog } from './page/event-log.js';
import { isEligible, judgeSkew } from './page/fair-share.js';
import { age, counted, timeOfDay } from './page/format.js';
import { History } from './page/history.js';
import { describeChange, describeGrowth, wasRestarted } from './page/page-events.js';
import { PoolSection } from './page/pool-section.js';
import { followEvents } from './page/stream.js';
import { showTrouble } from './page/trouble.js';

/**
 * @typedef {import('../../status.ts').StatusDocument} StatusDocument
 * @typedef {import('../../status.ts').PoolStatus} PoolStatus
 * @typedef {import('../../../control/event-log.ts').KeptEvent} KeptEvent
 */

/** With more pools than this, only the first is open at the start. */
const POOLS_OPEN_MAX = 3;

const history = new History();
const dialog = new ChangeDialog();
const log = new EventLog(byId('log', HTMLElement), byId('log-empty', HTMLElement));
const main = byId('pools', HTMLElement);
const overview = byId('overview', HTMLElement);
/** @type {Map<string, PoolSection>} */
const sections = new Map();
/** @type {StatusDocument | null} */
let latest = null;
/** When it arrived, ms. */
let latestMs = 0;

/** @param {StatusDocument} status */
function show(status) {
  const arrivedMs = performance.now();
  const elapsedSeconds = (arrivedMs - latestMs) / 1000;
  if (latest !== null) {
    if (wasRestarted(latest, status, elapsedSeconds)) lastEvent = 0;
    for (const event of describeGrowth(latest, status, elapsedSeconds)) log.add(event);
  }
  latestMs = arrivedMs;
  latest = status;
  history.add(status, Date.now() / 1000);
  showTrouble(byId('trouble', HTMLElement), byId('icon', HTMLElement), status.summary, status.host);
  const threads = counted(status.threads, 'thread');
  setText(
    byId('facts', HTMLElement),
    `${status.host}: ${status.version}, revision ${status.revision}, ${threads}, up ${age(status.uptimeSeconds)}`,
  );
  for (const [name, section] of sections) {
    if (status.pools.some((pool) => pool.name === name)) continue;
    section.root.remove();
    sections.delete(name);
  }
  for (const [index, pool] of status.pools.entries())
    sectionOf(pool, index, status.pools.length).update(pool);
  showOverview(status.pools);
}

/**
 * @param {PoolStatus} pool
 * @param {number} index
 * @param {number} pools
 */
function sectionOf(pool, index, pools) {
  let section = sections.get(pool.name);
  if (section === undefined) {
    section = new PoolSection(
      pool.name,
      history,
      index === 0 || pools <= POOLS_OPEN_MAX,
      (serverName, action) => {
        const now = latest?.pools.find(({ name }) => name === pool.name);
        const server = now?.servers.find(({ name }) => name === serverName);
        if (now === undefined || server === undefined) return;
        if (action !== 'weight' && action === server.mode) return;
        dialog.open(now, server, action);
      },
    );
    sections.set(pool.name, section);
    main.append(section.root);
  }
  return section;
}

/**
 * One chip for each pool, when there are several.
 * @param {readonly PoolStatus[]} pools
 */
function showOverview(pools) {
  overview.hidden = pools.length < 2;
  if (overview.hidden) return;
  while (overview.children.length > pools.length) overview.lastElementChild?.remove();
  pools.forEach((pool, index) => {
    let chip = overview.children[index];
    if (chip === undefined) {
      const label = element('b', {});
      chip = element('a', {}, label, element('span', {}));
      chip.addEventListener('click', () => sections.get(label.textContent ?? '')?.open(true));
      overview.append(chip);
    }
    const [name, figure] = chip.children;
    if (name === undefined || figure === undefined) return;
    setAttribute(chip, 'href', `#pool-${encodeURIComponent(pool.name)}`);
    setAttribute(chip, 'data-tone', toneOf(pool));
    setText(name, pool.name);
    setText(figure, counted(pool.sessions, 'session'));
  });
}

/** @param {PoolStatus} pool */
function toneOf(pool) {
  const eligible = pool.servers.filter(isEligible).length;
  if (
    eligible === 0 ||
    latest?.summary.problems.some((problem) => problem.pool === pool.name && problem.state === 'failing')
  )
    return 'bad';
  return eligible < pool.servers.length || judgeSkew(pool).state === 'beyond' ? 'warn' : 'good';
}

let lastHeard = '';

/** @param {import('./page/stream.js').LinkState} state */
function showLink(state) {
  if (state === 'live') lastHeard = timeOfDay(new Date());
  const since = lastHeard === '' ? '' : `; figures of ${lastHeard}`;
  setText(byId('link-text', HTMLElement), state === 'lost' ? `connection lost, trying again${since}` : state);
  setAttribute(byId('link', HTMLElement), 'data-state', state);
  setAttribute(document.body, 'data-link', state);
}

/** Number of the last event that is shown; a balancer that was started anew counts from 1. */
let lastEvent = 0;

/** @param {KeptEvent} event */
function showEvent(event) {
  if (event.number <= lastEvent) return;
  lastEvent = event.number;
  log.add(describeChange(event), new Date(event.at));
}

/** Events that have come while the last ones are asked for; null: none are. @type {KeptEvent[] | null} */
let early = null;

/** @param {KeptEvent} event */
function hearEvent(event) {
  if (early === null) showEvent(event);
  else early.push(event);
}

/** What has happened while nothing was heard: before the page was opened, or while the connection was lost. */
async function catchUp() {
  if (early !== null) return;
  early = [];
  const last = await fetchJson('/api/events/recent');
  const events = [...(last?.events ?? []), ...early];
  early = null;
  for (const event of events) showEvent(event);
}

/** @param {string} path */
async function fetchJson(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

let wasLive = false;

// Without what was before the page was opened it shows what comes.
const past = await fetchJson('/api/history');
if (past !== null) history.fill(past, Date.now() / 1000);
followEvents('/api/events', {
  onStatus: show,
  onChange: hearEvent,
  onLink: (state) => {
    if (state === 'live' && !wasLive) void catchUp();
    wasLive = state === 'live';
    showLink(state);
  },
});
