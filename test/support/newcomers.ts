// Clients that come as fast as they are served, each over a connection of its own, for one request.

import { connect } from 'node:net';
import { whenDone } from './lifetime.ts';

export interface Newcomers {
  served(): number;
  /** What happened to those that got no whole 200. */
  readonly failures: readonly string[];
  /** Resolves when the last of them is gone. */
  stop(): Promise<void>;
}

const REQUEST = 'GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n';

/** `width` of them at any time. Ends with the test at the latest. */
export function newcomers(port: number, width: number, host = '127.0.0.1'): Newcomers {
  let served = 0;
  let isOver = false;
  const failures: string[] = [];
  const lane = async (number: number): Promise<void> => {
    for (let turn = 0; !isOver; turn += 1) {
      // one address has too few ports for some ten thousand connections
      const local = host === '127.0.0.1' ? { localAddress: `127.2.${number}.${(turn % 250) + 1}` } : {};
      const outcome = await visit({ port, host, ...local });
      if (/^HTTP\/1\.1 200 /.test(outcome)) served += 1;
      else failures.push(outcome);
    }
  };
  const lanes = Promise.all(Array.from({ length: width }, (_, number) => lane(number)));
  const stop = async (): Promise<void> => {
    isOver = true;
    await lanes;
  };
  whenDone(stop);
  return { served: () => served, failures, stop };
}

/** The reply, or the error and what came before it. */
function visit(options: { readonly port: number; readonly host: string }): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(options);
    socket.on('connect', () => socket.write(REQUEST));
    socket.setEncoding('latin1').on('data', (text) => (received += String(text)));
    socket.on('error', (error) => resolve(`${error.message} after ${JSON.stringify(received)}`));
    socket.on('close', () => resolve(received === '' ? 'closed without a reply' : received));
  });
}
