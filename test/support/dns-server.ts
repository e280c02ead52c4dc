// A DNS server of a few lines (RFC 1035): answers A, AAAA and SRV questions from a table, over UDP.

import { createSocket } from 'node:dgram';
import { whenDone } from './lifetime.ts';

export type DnsRecord =
  | { readonly type: 'A'; readonly address: string }
  /** Address in full: eight groups. */
  | { readonly type: 'AAAA'; readonly address: string }
  | {
      readonly type: 'SRV';
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    };

export interface DnsServer {
  /** As `resolver` takes it. */
  readonly address: string;
  /** Records by lower-case name; a name that is not here does not exist. */
  readonly records: Map<string, readonly DnsRecord[]>;
  /** SERVFAIL for everything. */
  isBroken: boolean;
  /** SERVFAIL for questions of this type only. */
  brokenType: DnsRecord['type'] | null;
  /** SERVFAIL for questions about these, lower case. */
  readonly brokenNames: Set<string>;
  questions: number;
}

const TYPES = { A: 1, AAAA: 28, SRV: 33 } as const;
const HEADER_BYTES = 12;

export async function dnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const server = {
    address: '',
    records: new Map<string, readonly DnsRecord[]>(),
    isBroken: false,
    brokenType: null as DnsRecord['type'] | null,
    brokenNames: new Set<string>(),
    questions: 0,
  };
  socket.on('message', (query, from) => {
    server.questions += 1;
    socket.send(answer(server, query), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  whenDone(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  server.address = `127.0.0.1:${socket.address().port}`;
  return server;
}

function answer(server: Omit<DnsServer, 'address' | 'questions'>, query: Buffer): Buffer {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const question = query.subarray(HEADER_BYTES, at + 5);
  const name = labels.join('.').toLowerCase();
  const known = server.records.get(name);
  const isBroken =
    server.isBroken ||
    server.brokenNames.has(name) ||
    (server.brokenType !== null && TYPES[server.brokenType] === type);
  const found = isBroken ? [] : (known ?? []).filter((record) => TYPES[record.type] === type);
  const code = isBroken ? 2 : known === undefined ? 3 : 0;
  const header = Buffer.alloc(HEADER_BYTES);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(found.length, 6);
  return Buffer.concat([header, question, ...found.map(encode)]);
}

function encode(record: DnsRecord): Buffer {
  const data = encodeData(record);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  head.writeUInt16BE(TYPES[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function encodeData(record: DnsRecord): Buffer {
  if (record.type === 'SRV') return encodeSrv(record);
  if (record.type === 'A') return Buffer.from(record.address.split('.').map(Number));
  const groups = record.address.split(':').map((group) => group.padStart(4, '0'));
  return Buffer.from(groups.join(''), 'hex');
}

function encodeSrv({ priority, weight, port, target }: Extract<DnsRecord, { type: 'SRV' }>): Buffer {
  const head = Buffer.alloc(6);
  [priority, weight, port].forEach((value, index) => void head.writeUInt16BE(value, index * 2));
  const name = target
    .split('.')
    .filter((label) => label !== '')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  return Buffer.concat([head, ...name, Buffer.from([0])]);
}
