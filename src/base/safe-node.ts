// Versions of Node from which on no hole is known that whoever speaks to a server can use. To be raised with each security
// release of Node: https://nodejs.org/en/blog/vulnerability
//
// The release of 2026-11-11: a TLS server that clients could end (CVE-2026-126051), resumption that changes the server name or
// skips client certificates (CVE-2026-123872), memory of other connections over HTTP/2 (CVE-2026-123866). Fixed from:
// https://github.com/nodejs/node/releases/tag/v24.22.3 and, for 26, the record of CVE-2026-123866 (cve.org).

/** By release line. */
const SAFE_FROM: Readonly<Record<number, readonly [minor: number, patch: number]>> = {
  24: [22, 3],
  26: [13, 1],
};

/** As text; null: nothing is known against it. Lines that are newer than the list are not judged, others are over. */
export function unsafeNode(version: string): string | null {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const safe = SAFE_FROM[major];
  if (safe === undefined) {
    const newest = Math.max(...Object.keys(SAFE_FROM).map(Number));
    return major > newest ? null : `Node ${version} is of a line that gets no security fixes, use 24 or 26`;
  }
  const [safeMinor, safePatch] = safe;
  if (minor > safeMinor || (minor === safeMinor && patch >= safePatch)) return null;
  return `Node ${version} has known security holes, use ${major}.${safeMinor}.${safePatch} or newer`;
}
