// Sessions by the balancer's own cookie: what the cookie says when the table says nothing, and when a new one is due.

import { formatSetCookie } from '../http1/cookies.ts';
import { Verdict } from '../shared/control.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { type Affinity, Finding } from './affinity.ts';
import { open, renewedSeconds, seal } from './own-cookie.ts';
import { type PoolPlan, Source } from './plan.ts';

const SECOND_MS = 1000;
const STAYS = -1;

/**
 * The table does not know the session: our cookie speaks for itself, or the one of the balancer before us, which names
 * server `adopted` (-1: none). That one only where no session of ours is shown, not even one that is over.
 */
export function believeCookies(plan: PoolPlan, affinity: Affinity, adopted: number, wallMs: number): void {
  const { arrival } = affinity;
  if (affinity.isCookieOpen) believe(plan, affinity, wallMs);
  else if (adopted !== -1 && (arrival === Finding.new || arrival === Finding.none)) {
    affinity.isAdopted = true;
    takeHome(plan, affinity, adopted);
  }
}

/**
 * The table does not know the session (restart, eviction, another balancer made it): the cookie, opened already, speaks
 * for itself. It says when it was renewed, not when it was last shown, so that it is idle only after one renewal more.
 */
function believe(plan: PoolPlan, affinity: Affinity, wallMs: number): void {
  const { cookie } = affinity;
  const { lifeMs, idleMs } = plan.config.sticky;
  const isIdle = cookie.renewedSeconds >= 0 && wallMs - cookie.renewedSeconds * 1000 > idleMs + plan.renewMs;
  if (isIdle || wallMs - cookie.issuedSeconds * 1000 > lifeMs) {
    affinity.arrival = Finding.expired;
    affinity.hasKey = false;
    affinity.isCookieOpen = false;
    affinity.isCookieDue = false;
    return;
  }
  noteAge(plan, affinity, wallMs);
  takeHome(plan, affinity, cookie.homeIndex);
}

/** It has been idle here, but not elsewhere: another balancer has written the cookie since. */
export function isFresh(plan: PoolPlan, affinity: Affinity, wallMs: number): boolean {
  if (plan.source !== Source.ownCookie || !openCookie(plan, affinity)) return false;
  return wallMs - affinity.cookie.renewedSeconds * SECOND_MS <= plan.config.sticky.idleMs;
}

/** By its cookie, which bounds its life as the table would: a restart or another balancer does not make it younger. */
export function ageOf({ cookie }: Affinity, wallMs: number): number {
  return Math.max(0, wallMs - cookie.issuedSeconds * SECOND_MS);
}

/** The home that the client's cookie names, as a server of this plan. */
export function followCookie(plan: PoolPlan, affinity: Affinity): void {
  const { cookie, cookieText, cookieLength } = affinity;
  if (open(plan, cookieText, cookieLength, cookie)) takeHome(plan, affinity, cookie.homeIndex);
}

function takeHome(plan: PoolPlan, affinity: Affinity, index: number): void {
  affinity.isHomeRemoved = index === -1;
  affinity.home = index === -1 ? -1 : (plan.homes[index] as number);
  affinity.homeSlot = index === -1 ? -1 : (plan.slots[index] as number);
}

/**
 * The session is known: is its client due a new cookie? It is until it shows a recent one that names the present home. A
 * cookie written since the session was last seen here, `seenAgoMs` ago, is another balancer's, and says where that has moved
 * it: returns the index of that server, -1 where the session stays.
 */
export function compare(
  plan: PoolPlan,
  affinity: Affinity,
  { table, control }: SharedState,
  seenAgoMs: number,
  wallMs: number,
): number {
  const writtenMs = noteAge(plan, affinity, wallMs);
  const { entry, home } = affinity;
  const hasMoved = table.notes.hasMoved(entry);
  const isOthers = writtenMs + SECOND_MS > wallMs - seenAgoMs;
  if ((!hasMoved && !isOthers) || !openCookie(plan, affinity)) return STAYS;
  const index = affinity.cookie.homeIndex;
  if (index !== -1 && plan.homes[index] === home) table.notes.clearMoved(entry);
  else if (hasMoved) affinity.isCookieDue = true;
  // not to a server that is gone by what is known here, nor while other requests of it are under way
  else if (
    index !== -1 &&
    control.verdict(plan.slots[index] as number) !== Verdict.down &&
    table.busy(entry) === 1
  )
    return index;
  return STAYS;
}

/** The Set-Cookie value that names server `index`; '' when none is due. */
export function cookieFor(
  plan: PoolPlan,
  affinity: Affinity,
  index: number,
  wallMs: number,
  isSecure: boolean,
): string {
  if (!affinity.isCookieDue || affinity.cookieToSet !== '' || !openCookie(plan, affinity)) return '';
  const value = seal(plan, affinity.cookie, index, wallMs);
  affinity.cookieToSet = written(plan, value, plan.cookieAttributes, isSecure);
  return affinity.cookieToSet;
}

/** The Set-Cookie value that takes the cookie away. */
export function cookieRemoval(plan: PoolPlan, affinity: Affinity, isSecure: boolean): string {
  affinity.cookieToSet = written(plan, '', { ...plan.cookieAttributes, maxAge: 0 }, isSecure);
  return affinity.cookieToSet;
}

/** Returns when the cookie was written, to a second and no later. */
function noteAge(plan: PoolPlan, affinity: Affinity, wallMs: number): number {
  const writtenMs = renewedSeconds(affinity.cookieText, affinity.cookieLength) * SECOND_MS;
  // one from the time to come was written before the clock was set back, and would not be renewed until then
  affinity.isCookieDue ||= Math.abs(wallMs - writtenMs) > plan.renewMs;
  return writtenMs;
}

function openCookie(plan: PoolPlan, affinity: Affinity): boolean {
  affinity.isCookieOpen ||= open(plan, affinity.cookieText, affinity.cookieLength, affinity.cookie);
  return affinity.isCookieOpen;
}

function written(
  plan: PoolPlan,
  value: string,
  attributes: PoolPlan['cookieAttributes'],
  isSecure: boolean,
): string {
  const { cookie, attributes: configured } = plan.config.sticky;
  return formatSetCookie(
    cookie,
    value,
    attributes,
    configured.secure === 'auto' ? isSecure : configured.secure,
  );
}
