// One user of a web application: a cookie jar, a connection, and the session header for pools that use one.

import { PlainClient, type PlainReply } from './plain-client.ts';

export class User {
  readonly jar = new Map<string, string>();
  readonly client: PlainClient;
  /** Sent with every request, in lower case. */
  readonly headers: Record<string, string>;
  /** Server that made the session. */
  home = '';

  /** The user's own address is 127.1.x.y, made from `number`. */
  constructor(port: number, number: number, headers: Readonly<Record<string, string>> = {}) {
    this.client = new PlainClient(port, `127.1.${(number >> 7) & 255}.${(number & 127) + 1}`);
    this.headers = { ...headers };
  }

  async ask(method: string, target: string): Promise<PlainReply> {
    let cookie = '';
    for (const [name, value] of this.jar) cookie += `${cookie === '' ? '' : '; '}${name}=${value}`;
    const headers = cookie === '' ? this.headers : { ...this.headers, cookie };
    const reply = await this.client.ask(method, target, headers);
    for (const line of reply.setCookies) this.#keep(line);
    return reply;
  }

  get(target = '/'): Promise<PlainReply> {
    return this.ask('GET', target);
  }

  /** The server that answered a GET. */
  async where(target = '/'): Promise<string> {
    return (await this.get(target)).header('x-served-by') ?? '';
  }

  async login(): Promise<PlainReply> {
    const reply = await this.ask('POST', '/login');
    this.home = reply.header('x-served-by') ?? '';
    return reply;
  }

  close(): void {
    this.client.close();
  }

  #keep(line: string): void {
    const [pair = '', ...attributes] = line.split('; ');
    const equals = pair.indexOf('=');
    const isDeletion = attributes.some((attribute) => attribute.startsWith('Expires=Thu, 01 Jan 1970'));
    if (isDeletion) this.jar.delete(pair.slice(0, equals));
    else this.jar.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
}
