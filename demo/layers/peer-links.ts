// The mesh between replicated backends: one WebSocket per pair, dialled by whoever joined later. Sends changes to
// all, waits for acknowledgements where asked, and hands what arrives to its owner.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Entry } from './replicated-map.ts';

const HEADER_AUTHORIZATION = 'authorization';
/** From the end of a link to the next attempt, and how long one may take. */
export const REDIAL_MS = 500;
export const DIAL_MS_MAX = 1000;
/** A peer that has not acknowledged a change in this time is cut off; it must come back and ask for everything. */
const ACK_MS_MAX = 1000;
/** A peer that lets this much pile up is cut off. */
const BACKLOG_BYTES_MAX = 64 << 20;
const MESSAGE_BYTES_MAX = 8 << 20;

/** What servers say to each other. `want` asks for every entry, `all` ends that list. */
export type PeerMessage =
  | { readonly type: 'hello'; readonly name: string; readonly instance: string }
  | { readonly type: 'put'; readonly entry: Entry; readonly ack?: number }
  | { readonly type: 'touch'; readonly key: string; readonly expiresAtMs: number }
  | { readonly type: 'ack'; readonly ack: number }
  | { readonly type: 'want' }
  | { readonly type: 'all' };

/** Who owns the links: takes changes, gives its entries to a peer that asks. */
export interface PeerOwner {
  readonly name: string;
  readonly secret: string;
  take(entry: Entry): void;
  touch(key: string, expiresAtMs: number): void;
  entries(): Iterable<Entry>;
}

/** Counters for /lab/stats. */
export interface PeerCounts {
  messagesSent: number;
  messagesReceived: number;
  messageBytesSent: number;
  messageBytesReceived: number;
}

interface Link {
  readonly socket: WebSocket;
  /** True on the side that dialled. */
  readonly dialled: boolean;
  name: string;
  instance: string;
  /** Settles when the peer has sent everything it has, or is gone (false). */
  onAll: ((complete: boolean) => void) | null;
  /** Acknowledgements outstanding on this link. */
  readonly unacknowledged: Map<number, () => void>;
}

/** The links of one backend. */
export class PeerLinks {
  readonly counts: PeerCounts = {
    messagesSent: 0,
    messagesReceived: 0,
    messageBytesSent: 0,
    messageBytesReceived: 0,
  };
  readonly #owner: PeerOwner;
  readonly #instance = randomBytes(8).toString('hex');
  readonly #links = new Map<string, Link>();
  readonly #names = new Map<string, string>();
  readonly #server: Server = createServer();
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX });
  #nextAck = 1;
  #ended = false;

  constructor(owner: PeerOwner) {
    this.#owner = owner;
    this.#server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => socket.destroy());
      if (!this.#isPeer(request)) {
        socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#open(webSocket, false));
    });
  }

  /** Listens for peers; resolves with the URL they dial. */
  listen(port: number): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () => {
        resolve(`ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
      });
    });
  }

  /** Dials every peer, then asks one of them for everything it has. False when no peer could be reached. */
  async join(urls: readonly string[]): Promise<boolean> {
    await Promise.all(urls.map((url) => this.#dial(url)));
    for (const link of this.#links.values()) {
      if (await this.#want(link)) return true;
    }
    return false;
  }

  /** Sends a change to every peer. With `wait`, resolves when all that stay connected have acknowledged it. */
  async send(entry: Entry, wait: boolean): Promise<void> {
    if (!wait) {
      this.#broadcast({ type: 'put', entry });
      return;
    }
    await Promise.all([...this.#links.values()].map((link) => this.#sendAndWait(link, entry)));
  }

  touch(key: string, expiresAtMs: number): void {
    this.#broadcast({ type: 'touch', key, expiresAtMs });
  }

  end(): Promise<void> {
    this.#ended = true;
    for (const link of this.#links.values()) link.socket.terminate();
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #dial(url: string): Promise<void> {
    const name = this.#names.get(url);
    if (this.#ended || (name !== undefined && this.#links.has(name))) {
      if (!this.#ended) this.#redialLater(url);
      return Promise.resolve();
    }
    const socket = new WebSocket(url, {
      headers: { [HEADER_AUTHORIZATION]: `Bearer ${this.#owner.secret}` },
      handshakeTimeout: DIAL_MS_MAX,
      maxPayload: MESSAGE_BYTES_MAX,
      perMessageDeflate: false,
    });
    return new Promise((resolve) => {
      socket.on('error', () => socket.terminate());
      socket.once('close', () => {
        this.#redialLater(url);
        resolve();
      });
      socket.once('open', () =>
        this.#open(socket, true, (link) => {
          const isReturn = this.#names.has(url);
          this.#names.set(url, link.name);
          // Both sides may have changed while the link was down: each asks for what the other has.
          if (isReturn) void this.#want(link);
          resolve();
        }),
      );
    });
  }

  #redialLater(url: string): void {
    if (!this.#ended) setTimeout(() => void this.#dial(url), REDIAL_MS).unref();
  }

  #open(socket: WebSocket, dialled: boolean, onHello: (link: Link) => void = () => {}): void {
    const link: Link = { socket, dialled, name: '', instance: '', onAll: null, unacknowledged: new Map() };
    socket.on('error', () => socket.terminate());
    socket.on('close', () => this.#closed(link));
    socket.on('message', (data) => {
      const text = String(data);
      this.counts.messagesReceived += 1;
      this.counts.messageBytesReceived += text.length;
      const message = JSON.parse(text) as PeerMessage;
      if (message.type === 'hello') {
        this.#greeted(link, message.name, message.instance);
        onHello(link);
      } else this.#received(link, message);
    });
    this.#sendTo(link, JSON.stringify({ type: 'hello', name: this.#owner.name, instance: this.#instance }));
  }

  #greeted(link: Link, name: string, instance: string): void {
    link.name = name;
    link.instance = instance;
    const other = this.#links.get(name);
    this.#links.set(name, link);
    if (other === undefined) return;
    // Two links to one process: both sides keep the one dialled by the smaller name. A link to an earlier life of
    // that server is dead in any case.
    const keepsOther = other.instance === instance && other.dialled === this.#owner.name < name;
    if (keepsOther) this.#links.set(name, other);
    (keepsOther ? link : other).socket.close();
  }

  #received(link: Link, message: Exclude<PeerMessage, { type: 'hello' }>): void {
    switch (message.type) {
      case 'put':
        this.#owner.take(message.entry);
        if (message.ack !== undefined) this.#sendTo(link, JSON.stringify({ type: 'ack', ack: message.ack }));
        return;
      case 'touch':
        this.#owner.touch(message.key, message.expiresAtMs);
        return;
      case 'ack':
        link.unacknowledged.get(message.ack)?.();
        return;
      case 'want':
        for (const entry of this.#owner.entries()) this.#sendTo(link, JSON.stringify({ type: 'put', entry }));
        this.#sendTo(link, JSON.stringify({ type: 'all' }));
        return;
      case 'all':
        link.onAll?.(true);
        return;
    }
  }

  #closed(link: Link): void {
    if (this.#links.get(link.name) === link) this.#links.delete(link.name);
    for (const settle of link.unacknowledged.values()) settle();
    link.onAll?.(false);
  }

  #want(link: Link): Promise<boolean> {
    return new Promise((resolve) => {
      link.onAll = resolve;
      this.#sendTo(link, JSON.stringify({ type: 'want' }));
    });
  }

  #sendAndWait(link: Link, entry: Entry): Promise<void> {
    const ack = this.#nextAck;
    this.#nextAck += 1;
    return new Promise((resolve) => {
      const late = setTimeout(() => link.socket.terminate(), ACK_MS_MAX);
      link.unacknowledged.set(ack, () => {
        clearTimeout(late);
        link.unacknowledged.delete(ack);
        resolve();
      });
      this.#sendTo(link, JSON.stringify({ type: 'put', entry, ack }));
    });
  }

  #broadcast(message: PeerMessage): void {
    const text = JSON.stringify(message);
    for (const link of this.#links.values()) this.#sendTo(link, text);
  }

  #sendTo(link: Link, text: string): void {
    if (link.socket.bufferedAmount > BACKLOG_BYTES_MAX) {
      link.socket.terminate();
      return;
    }
    if (link.socket.readyState !== WebSocket.OPEN) return;
    this.counts.messagesSent += 1;
    this.counts.messageBytesSent += text.length;
    link.socket.send(text);
  }

  #isPeer(request: IncomingMessage): boolean {
    const given = request.headers[HEADER_AUTHORIZATION] ?? '';
    return timingSafeEqual(digest(given), digest(`Bearer ${this.#owner.secret}`));
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
