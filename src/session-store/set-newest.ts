// Maps that keep what came last.

/** Sets it; where there are more than `max` the one that came first goes. */
export function setNewest<T>(map: Map<string, T>, key: string, value: T, max: number): void {
  map.set(key, value);
  if (map.size <= max) return;
  const oldest = map.keys().next().value;
  if (oldest !== undefined) map.delete(oldest);
}
