// One request by HTTP/1 on a connection of its own, and all that comes back.

import { request as httpRequest, type IncomingMessage } from 'node:http';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly trailers: NodeJS.Dict<string>;
  readonly interims: readonly number[];
}

export interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | readonly string[];
  readonly trailers?: Record<string, string>;
}

export function ask(
  port: number,
  { method = 'GET', path = '/', headers = {}, body = '', trailers }: Asked = {},
) {
  return new Promise<Reply>((resolve, reject) => {
    const interims: number[] = [];
    const outgoing = httpRequest(
      { port, host: '127.0.0.1', method, path, headers, agent: false },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(parts).toString('latin1'),
            trailers: answer.trailers,
            interims,
          }),
        );
      },
    );
    outgoing.on('information', ({ statusCode }) => interims.push(statusCode));
    outgoing.on('error', reject);
    if (typeof body === 'string') outgoing.end(body === '' ? undefined : body);
    else {
      for (const part of body) outgoing.write(part);
      if (trailers !== undefined) outgoing.addTrailers(trailers);
      outgoing.end();
    }
  });
}
