// Placeholder until the admin room is in.
import type { Balancer } from './balancer.ts';

export interface AdminHandle {
  readonly url: string;
  close(): Promise<void>;
}

export async function startAdminServer(_balancer: Balancer, _config: unknown): Promise<AdminHandle> {
  return { url: 'http://127.0.0.1:0', close: async () => undefined };
}
