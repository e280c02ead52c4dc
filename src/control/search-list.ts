// Names as the system completes them (resolv.conf(5)): getaddrinfo does so itself; for SRV records nobody does, so the
// search list is read here.

import { readFile } from 'node:fs/promises';

const RESOLV_CONF = '/etc/resolv.conf';
const NDOTS_DEFAULT = 1;
const NDOTS_MAX = 15;
const SEARCH_MAX = 16;

/** The names to ask for, in order. A system without the file completes nothing. */
export async function searchNames(name: string): Promise<readonly string[]> {
  const text = await readFile(RESOLV_CONF, 'utf8').catch(() => '');
  return completions(name, text, process.env['LOCALDOMAIN']);
}

/**
 * A name with as many dots as `ndots` is asked for as it is before it is completed, others after. A dot at its end says
 * that it is complete.
 */
export function completions(name: string, resolvConf: string, localDomain?: string): readonly string[] {
  if (name.endsWith('.')) return [name];
  const { search, ndots } = parse(resolvConf);
  const domains = (localDomain === undefined ? search : words(localDomain)).slice(0, SEARCH_MAX);
  const completed = domains.map((domain) => `${name}.${domain.replace(/\.$/, '')}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...completed] : [...completed, name];
}

function parse(text: string): { readonly search: readonly string[]; readonly ndots: number } {
  let search: readonly string[] = [];
  let ndots = NDOTS_DEFAULT;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = words(line.replace(/[#;].*$/, ''));
    if (keyword === 'search') search = values;
    if (keyword === 'domain') search = values.slice(0, 1);
    if (keyword !== 'options') continue;
    for (const option of values) {
      const value = /^ndots:(\d+)$/.exec(option)?.[1];
      if (value !== undefined) ndots = Math.min(NDOTS_MAX, Number(value));
    }
  }
  return { search: search.filter((domain) => domain !== '.'), ndots };
}

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
