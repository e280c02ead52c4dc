// `holdfast events --follow`: what happened and what happens, also when another process takes the balancer's place.
//
//   asked ──> last events, then each as it comes ──> the stream ends ──> asked again ──> nobody answers in time: a failure
//     ^                                                                        │
//     └────────────── events of before are left out, unless it is another process: it counts its own from 1

import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../base/clock.ts';
import type { KeptEvent } from '../control/event-log.ts';
import { type AdminClient, AdminFailure } from './admin-client.ts';
import { remark } from './output.ts';

const RETRY_MS = 200;
/** A takeover or a restart is over by then. */
export const PATIENCE_MS = 10_000;

/** Calls `onEvent` for each event, oldest first. Rejects with AdminFailure when nobody can be asked (any more). */
export async function followEvents(
  client: AdminClient,
  onEvent: (event: KeptEvent) => void,
  patienceMs: number = PATIENCE_MS,
): Promise<never> {
  let last: KeptEvent | null = null;
  const show = (event: KeptEvent): void => {
    if (last !== null && event.number <= last.number) return;
    last = event;
    onEvent(event);
  };
  let changes = await client.changes();
  for (;;) {
    // what comes while the last ones are asked for is among them, or comes after them
    const recent = await client.recentEvents().catch(nothingIfAway);
    if (last !== null && !isOfOneProcess(last, recent)) last = null;
    for (const event of recent) show(event);
    for await (const event of changes) show(event);
    remark('the events have ended; asking again');
    changes = await askedAgain(client, patienceMs);
  }
}

/** It has gone between two questions: the stream has ended too, and is asked for again. */
function nothingIfAway(error: unknown): readonly KeptEvent[] {
  if (error instanceof AdminFailure) return [];
  throw error;
}

/** Whether the events are of the process that the last one was of: its number is there again, or all are later. */
function isOfOneProcess(last: KeptEvent, recent: readonly KeptEvent[]): boolean {
  const [first] = recent;
  if (first === undefined || first.number > last.number) return true;
  return recent.some(({ number, at }) => number === last.number && at === last.at);
}

async function askedAgain(client: AdminClient, patienceMs: number): Promise<AsyncIterable<KeptEvent>> {
  const endMs = systemClock.nowMs() + patienceMs;
  for (;;) {
    try {
      return await client.changes();
    } catch (error) {
      if (!(error instanceof AdminFailure) || systemClock.nowMs() >= endMs) throw error;
    }
    await pause(RETRY_MS);
  }
}
