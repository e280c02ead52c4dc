// The two connections of an upgrade, joined until both have ended.
//
//   open --one side has sent its end--> half closed --the other too, or HALF_CLOSED_MS later--> closed
//   open --silence of both, or one side is destroyed--> closed

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Scheduled } from '../base/scheduler.ts';
import { type Guard, ignoreErrors } from './guard.ts';

/** How long one side of a tunnel may stay open after the other has ended, however much it says. */
export const HALF_CLOSED_MS = 30_000;

/** `guard`: of the exchange. */
export function joinTunnel(guard: Guard, client: Duplex, server: Duplex, silenceMs: number): void {
  let openSides = 2;
  let halfClosed: Scheduled | null = null;
  const close = (): void => {
    client.destroy();
    server.destroy();
  };
  for (const side of [client, server]) {
    ignoreErrors(side);
    limitSilence(guard, side, silenceMs, close);
    if (side instanceof Socket) side.setNoDelay(true).setKeepAlive(true);
    guard.once(side, 'end', () => {
      halfClosed ??= guard.after(HALF_CLOSED_MS, close);
    });
    guard.once(side, 'close', () => {
      openSides -= 1;
      if (openSides === 0) halfClosed?.cancel();
    });
  }
  guard.once(client, 'close', () => server.destroy());
  // a clean end has been passed on by the pipe; anything else must not leave the client waiting
  guard.once(server, 'close', () => {
    if (!client.writableEnded) client.destroy();
  });
  client.pipe(server).pipe(client);
}

/** net.Socket and tls.TLSSocket have a time limit; another Duplex has none. */
export function limitSilence(guard: Guard, stream: Duplex, ms: number, onSilence: () => void): void {
  if (!(stream instanceof Socket)) return;
  stream.setTimeout(ms);
  guard.once(stream, 'timeout', onSilence);
}
