// Requests at a steady rate, each user over their own kept connection, and what became of every one.

import type { PlainReply } from './plain-client.ts';
import type { User } from './user.ts';

export interface Outcome {
  readonly user: User;
  /** null: the connection ended before the whole reply was here. */
  readonly reply: PlainReply | null;
  readonly error: string;
}

export interface SteadyLoad {
  /** Everything that has ended so far, oldest first. */
  readonly outcomes: Outcome[];
  /** What is no complete answer, or one of the balancer's own error replies, or 5xx. */
  failures(): string[];
  /** Ends the load; resolves when the last reply is here. */
  stop(): Promise<void>;
}

const TICK_MS = 10;

/** `perSecond` GETs of `target`, the users taking turns. A user still waiting for a reply is passed over. */
export function steadyLoad(users: readonly User[], perSecond: number, target = '/'): SteadyLoad {
  const outcomes: Outcome[] = [];
  const waiting = new Set<User>();
  const beganMs = performance.now();
  let sent = 0;
  let next = 0;
  const send = async (user: User): Promise<void> => {
    waiting.add(user);
    try {
      outcomes.push({ user, reply: await user.get(target), error: '' });
    } catch (error) {
      outcomes.push({ user, reply: null, error: String(error) });
    }
    waiting.delete(user);
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - beganMs) / 1000) * perSecond);
    for (; sent < due; sent += 1) {
      const user = users[next % users.length]!;
      next += 1;
      if (!waiting.has(user)) void send(user);
    }
  }, TICK_MS);
  return {
    outcomes,
    failures: () => outcomes.flatMap(describeFailure),
    stop: async () => {
      clearInterval(timer);
      while (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    },
  };
}

function describeFailure({ reply, error }: Outcome): string[] {
  if (reply === null) return [error];
  const ours = reply.header('x-holdfast-error');
  return reply.status >= 500 || ours !== null ? [`${reply.status} ${ours ?? ''}`] : [];
}
