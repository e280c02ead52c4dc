// The backend's page at /.
import type { BackendOptions } from './flags.ts';

/** Response headers of the page. */
export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
} as const;

/** The page of one backend. */
export function page(options: BackendOptions, sentence: string): string {
  return `<!doctype html><title>${options.name}</title><p>${sentence}</p>`;
}
