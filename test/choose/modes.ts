// The sticky modes under test, each with a client that behaves as its clients do.

import type { ExchangeOptions, Outcome, World, WorldOptions } from './fixture.ts';
import { cookiePair } from './messages.ts';

/** A client that behaves as the mode's clients do. */
export interface Client {
  /** What its next request carries. */
  request(): ExchangeOptions;
  /** Takes in what an exchange brought. */
  receive(outcome: Outcome): void;
}

export interface ModeCase {
  readonly title: string;
  readonly options: WorldOptions;
  /** The balancer's own cookie: minted, and told of every move. */
  readonly isOwn: boolean;
  /** The key can be known before any server has answered. */
  readonly isForeign: boolean;
  client(number: number): Client;
}

function ownClient(): Client {
  let cookie: string | null = null;
  return {
    request: () => (cookie === null ? {} : { cookie: `other=1; ${cookie}; more=2` }),
    receive: (outcome) => {
      if (outcome.setCookie !== '') cookie = cookiePair(outcome.setCookie);
    },
  };
}

/** The application sets its cookie with the first answer. */
function applicationClient(number: number): Client {
  const value = `s%3Asession-${number}.sig%2F`;
  let isLoggedIn = false;
  return {
    request: () =>
      isLoggedIn
        ? { cookie: `connect.sid=${value}` }
        : { responseHeaders: [`Set-Cookie: connect.sid=${value}; Path=/; HttpOnly`] },
    receive: (outcome) => {
      if (outcome.server !== null) isLoggedIn = true;
    },
  };
}

function headerClient(number: number): Client {
  let isLoggedIn = false;
  return {
    request: () =>
      isLoggedIn
        ? { headers: [`X-Session-Id: id-${number}`] }
        : { responseHeaders: [`X-Session-Id: id-${number}`] },
    receive: (outcome) => {
      if (outcome.server !== null) isLoggedIn = true;
    },
  };
}

export const MODES: readonly ModeCase[] = [
  {
    title: 'cookie-hash, own cookie',
    options: { sticky: { mode: 'cookie-hash' } },
    isOwn: true,
    isForeign: false,
    client: ownClient,
  },
  {
    title: 'cookie-pin',
    options: { sticky: { mode: 'cookie-pin' } },
    isOwn: true,
    isForeign: false,
    client: ownClient,
  },
  {
    title: 'cookie-hash, application cookie',
    options: { sticky: { mode: 'cookie-hash', cookie: 'connect.sid', cookieOwner: 'application' } },
    isOwn: false,
    isForeign: false,
    client: applicationClient,
  },
  {
    title: 'learn by cookie',
    options: { sticky: { mode: 'learn', cookie: 'connect.sid', cookieOwner: 'application' } },
    isOwn: false,
    isForeign: false,
    client: applicationClient,
  },
  {
    title: 'learn by header',
    options: { sticky: { mode: 'learn', cookieOwner: 'application', header: 'x-session-id' } },
    isOwn: false,
    isForeign: false,
    client: headerClient,
  },
  {
    title: 'header-hash',
    options: { sticky: { mode: 'header-hash', header: 'x-session-id' } },
    isOwn: false,
    isForeign: true,
    client: (number) => ({
      request: () => ({ headers: [`X-Session-ID: user-${number}`] }),
      receive: () => {},
    }),
  },
  {
    title: 'address-hash',
    options: { sticky: { mode: 'address-hash' } },
    isOwn: false,
    isForeign: true,
    client: (number) => ({ request: () => ({ address: `198.51.100.${number}` }), receive: () => {} }),
  },
];

/** The client's next request, answered. */
export function visit(world: World, client: Client, worker = 0, more: ExchangeOptions = {}): Outcome {
  const outcome = world.exchange({ ...client.request(), ...more }, worker);
  client.receive(outcome);
  return outcome;
}
