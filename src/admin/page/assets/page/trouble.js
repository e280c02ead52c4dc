// What is wrong, first on the page, in the tab's title and in its icon: who opens the page in an outage sees it at once.

import { element, setAttribute, setText } from './dom.js';
import { timeOfDay } from './format.js';

/** @typedef {import('../../../summary.ts').Summary} Summary */

const WORDS = { well: 'Holdfast', degraded: 'Degraded', failing: 'Clients get errors' };
const ICONS = {
  well: '/page/icon.svg',
  degraded: '/page/icon-degraded.svg',
  failing: '/page/icon-failing.svg',
};
/** The rest is counted: servers by the hundred would hide everything else. */
const PROBLEMS_SHOWN = 6;

/**
 * @param {HTMLElement} box With a list in it.
 * @param {HTMLElement} icon The page's icon link.
 * @param {Summary} summary
 * @param {string} host Name of the machine.
 */
export function showTrouble(box, icon, { state, problems }, host) {
  const title = state === 'well' ? `Holdfast on ${host}` : `${WORDS[state]} – Holdfast on ${host}`;
  if (document.title !== title) document.title = title;
  setAttribute(icon, 'href', ICONS[state]);
  setAttribute(box, 'data-state', state);
  box.hidden = problems.length === 0;
  const list = box.querySelector('ul');
  if (list === null || box.hidden) return;
  const more = problems.length - PROBLEMS_SHOWN;
  const lines = problems
    .slice(0, PROBLEMS_SHOWN)
    .map((problem) => ({ ...problem, words: sentence(problem) }));
  const shown = more > 0 ? [...lines, { state: 'degraded', words: `and ${more} more` }] : lines;
  while (list.children.length > shown.length) list.lastElementChild?.remove();
  while (list.children.length < shown.length) list.append(element('li', {}));
  shown.forEach(({ state: how, words }, at) => {
    const line = list.children[at];
    if (line === undefined) return;
    setAttribute(line, 'data-state', how);
    setText(line, words);
  });
}

/** @param {Summary['problems'][number]} problem */
function sentence({ pool, server, text, since }) {
  const where = server === null ? `Pool ${pool}` : `${pool}/${server}`;
  return `${where}: ${text}${since === null ? '' : `, since ${timeOfDay(new Date(since))}`}`;
}
