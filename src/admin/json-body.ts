// The body of a request to the API.

/** The object that the text is, or a sentence that says why it is none. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> | string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return 'the body is not JSON';
  }
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body);
  return isObject ? Object.fromEntries(Object.entries(body as object)) : 'the body must be a JSON object';
}
