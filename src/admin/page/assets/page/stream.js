// The event stream, kept alive: the browser tries again by itself unless the server refuses; then, and when nothing
// has come for a while though the connection looks well, a new one is made here.

/**
 * @typedef {'connecting' | 'live' | 'lost'} LinkState
 *
 * @typedef {object} StreamListener
 * @property {(status: import('../../../status.ts').StatusDocument) => void} onStatus
 * @property {(event: import('../../../../control/event-log.ts').KeptEvent) => void} onChange
 * @property {(state: LinkState) => void} onLink
 */

const SILENCE_MS_MAX = 5_000;
const RETRY_MS = [500, 1_000, 2_000, 4_000];

/**
 * Connects, and stays connected for as long as the page lives.
 * @param {string} url
 * @param {StreamListener} listener
 */
export function followEvents(url, listener) {
  let failures = 0;
  let silence = 0;
  /** @type {EventSource | null} */
  let source = null;

  const fail = () => {
    window.clearTimeout(silence);
    source?.close();
    source = null;
    listener.onLink('lost');
    window.setTimeout(open, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
    failures += 1;
  };
  const hear = () => {
    window.clearTimeout(silence);
    silence = window.setTimeout(fail, SILENCE_MS_MAX);
  };
  const open = () => {
    const opened = new EventSource(url);
    source = opened;
    hear();
    opened.addEventListener('status', (event) => {
      hear();
      failures = 0;
      listener.onLink('live');
      listener.onStatus(JSON.parse(event.data));
    });
    opened.addEventListener('change', (event) => {
      hear();
      listener.onChange(JSON.parse(event.data));
    });
    opened.addEventListener('error', () => {
      if (source === opened) fail();
    });
  };
  open();
}
