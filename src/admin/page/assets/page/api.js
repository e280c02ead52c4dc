// What the page asks of the admin API beside the event stream, and the token for changes: kept in this tab only.

/**
 * @typedef {{ readonly mode?: string, readonly weight?: number }} ServerChange
 * @typedef {{ readonly kind: 'done' } | { readonly kind: 'token' } | { readonly kind: 'failed', readonly message: string }} ChangeOutcome
 */

const TOKEN_KEY = 'holdfast-token';

export function hasToken() {
  return sessionStorage.getItem(TOKEN_KEY) !== null;
}

/** @param {string} token */
export function keepToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
}

export function forgetToken() {
  sessionStorage.removeItem(TOKEN_KEY);
}

/**
 * @param {string} pool
 * @param {string} server
 * @param {ServerChange} change
 * @returns {Promise<ChangeOutcome>} `token`: one is needed, or the one given is wrong.
 */
export async function changeServer(pool, server, change) {
  try {
    const response = await fetch(
      `/api/pools/${encodeURIComponent(pool)}/servers/${encodeURIComponent(server)}`,
      {
        method: 'PATCH',
        headers: { 'content-type': 'application/json', ...authorization() },
        body: JSON.stringify(change),
      },
    );
    if (response.ok) return { kind: 'done' };
    if (response.status === 401) return { kind: 'token' };
    return { kind: 'failed', message: await messageOf(response) };
  } catch {
    return { kind: 'failed', message: 'the balancer could not be reached' };
  }
}

/**
 * The balancer's prediction of what an action would do; null when it has none to give.
 * @param {string} pool
 * @param {string} server
 * @param {string} action
 * @returns {Promise<unknown>}
 */
export async function fetchPlan(pool, server, action) {
  try {
    const query = new URLSearchParams({ action, server });
    const response = await fetch(`/api/pools/${encodeURIComponent(pool)}/plan?${query}`, {
      headers: authorization(),
    });
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

/** @returns {Record<string, string>} */
function authorization() {
  const token = sessionStorage.getItem(TOKEN_KEY);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

/** @param {Response} response */
async function messageOf(response) {
  const body = await response.json().catch(() => null);
  return typeof body?.error?.message === 'string'
    ? body.error.message
    : `the balancer answered ${response.status}`;
}
