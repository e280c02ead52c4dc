// What keeps a response from shared caches, whatever its own caching fields say (RFC 9111 sections 3 and 4.2).
//
//   Cache-Control: public, max-age=60, s-maxage=600, private="x"   ->   max-age=60
//   CDN-Cache-Control: max-age=600                                 ->   (gone: it would stand above Cache-Control)
//                                                                  +    private, unless that or no-store is there

/** Name and value of a header line, and what its reader keeps with them. */
type Line = readonly [name: string, value: string, ...rest: string[]];

/** Fields that shared caches obey instead of Cache-Control: those of RFC 9213, and what came before it. */
const TARGETED = /^(?:.*-cache-control|surrogate-control|x-accel-expires|edge-control)$/i;
const DIRECTIVE = /(?:[^,"]|"(?:[^"\\]|\\.)*"?)+/g;
const PRIVATE: Line = ['cache-control', 'private'];

/** The lines of a response that is for one client alone; those that stay as they are are the same objects. */
export function forOneClient(lines: readonly Line[]): readonly Line[] {
  let isPrivate = false;
  const kept: Line[] = [];
  for (const line of lines) {
    const [name, value] = line;
    if (TARGETED.test(name)) continue;
    if (name.toLowerCase() !== 'cache-control') {
      kept.push(line);
      continue;
    }
    const directives = (value.match(DIRECTIVE) ?? []).map((directive) => directive.trim()).filter(Boolean);
    isPrivate ||= directives.some((directive) => /^(?:private|no-store)$/i.test(directive));
    const left = directives.filter(
      (directive) => !/^(?:public|s-maxage|private\s*=.*)(?:\s*=.*)?$/i.test(directive),
    );
    if (left.length === directives.length) kept.push(line);
    else if (left.length > 0) kept.push([name, left.join(', ')]);
  }
  return isPrivate ? kept : [...kept, PRIVATE];
}
