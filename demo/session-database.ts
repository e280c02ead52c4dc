// The tables of sessiond and the operations on them: sessions, users, and the deny list of the JWT architecture.
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '../src/base/clock.ts';
import { NAMED_USERS, type PasswordRecord } from './users.ts';

type Body = Readonly<Record<string, unknown>>;

/** Operations by the name in the request path. Times are wall clock milliseconds. */
export const OPERATIONS = [
  'load',
  'create',
  'replace',
  'touch',
  'remove',
  'ban',
  'user',
  'deny',
  'denied',
  'stats',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** The database of one sessiond. */
export interface SessionDatabase {
  has(operation: string): operation is Operation;
  /** Performs one operation in its own transaction; the result is JSON. Throws on a body of the wrong shape. */
  perform(operation: Operation, body: Body): unknown;
  /** Gives user1 to userN and the named users one password; existing users keep theirs. */
  addUsers(count: number, record: PasswordRecord): void;
  /** Deletes what has expired. */
  prune(): void;
  close(): void;
}

const SCHEMA = `
  pragma journal_mode = wal;
  pragma synchronous = normal;
  create table if not exists sessions (
    key text primary key, user text not null, data text not null, expires_at integer not null
  ) without rowid;
  create index if not exists sessions_user on sessions (user);
  create index if not exists sessions_expiry on sessions (expires_at);
  create table if not exists users (name text primary key, salt text, hash text, cost integer) without rowid;
  create table if not exists denied (
    subject text primary key, since integer not null, expires_at integer not null
  ) without rowid;
`;

/** Opens or creates the database; `:memory:` forgets with the process. A commit survives SIGKILL of the process. */
export function openDatabase(file: string): SessionDatabase {
  const database = new DatabaseSync(file);
  database.exec(SCHEMA);
  const perform = prepare(database);
  const insertUser = database.prepare('insert or ignore into users values (?, ?, ?, ?)');
  const pruneSessions = database.prepare('delete from sessions where expires_at <= ?');
  const pruneDenied = database.prepare('delete from denied where expires_at <= ?');
  return {
    has: (operation): operation is Operation => Object.hasOwn(perform, operation),
    perform: (operation, body) => perform[operation](body),
    addUsers(count, { salt, hash, cost }) {
      database.exec('begin');
      for (const name of NAMED_USERS) insertUser.run(name, salt, hash, cost);
      for (let number = 1; number <= count; number += 1) insertUser.run(`user${number}`, salt, hash, cost);
      database.exec('commit');
    },
    prune() {
      const nowMs = systemClock.wallMs();
      pruneSessions.run(nowMs);
      pruneDenied.run(nowMs);
    },
    close: () => database.close(),
  };
}

function prepare(database: DatabaseSync): Readonly<Record<Operation, (body: Body) => unknown>> {
  const load = database.prepare('select data from sessions where key = ? and expires_at > ?');
  const create = database.prepare('insert or replace into sessions values (?, ?, ?, ?)');
  const replace = database.prepare(
    'update sessions set data = ?, expires_at = ? where key = ? and expires_at > ?',
  );
  const touch = database.prepare('update sessions set expires_at = ? where key = ? and expires_at > ?');
  const remove = database.prepare('delete from sessions where key = ?');
  const ban = database.prepare('delete from sessions where user = ?');
  const user = database.prepare('select salt, hash, cost from users where name = ?');
  const deny = database.prepare('insert or replace into denied values (?, ?, ?)');
  const denied = database.prepare(
    'select 1 from denied where expires_at > ?1 and (subject = ?2 or (subject = ?3 and since >= ?4)) limit 1',
  );
  const stats = database.prepare(
    'select count(*) as sessions, coalesce(sum(length(data)), 0) as bytes from sessions where expires_at > ?',
  );
  const now = systemClock.wallMs;
  return {
    load: (body) => load.get(text(body, 'key'), now()) ?? null,
    create: (body) => {
      const expiresAtMs = now() + number(body, 'ttlMs');
      create.run(text(body, 'key'), text(body, 'user'), text(body, 'data'), expiresAtMs);
      return true;
    },
    replace: (body) => {
      const expiresAtMs = now() + number(body, 'ttlMs');
      return Number(replace.run(text(body, 'data'), expiresAtMs, text(body, 'key'), now()).changes) > 0;
    },
    touch: (body) => Number(touch.run(now() + number(body, 'ttlMs'), text(body, 'key'), now()).changes) > 0,
    remove: (body) => Number(remove.run(text(body, 'key')).changes) > 0,
    ban: (body) => Number(ban.run(text(body, 'user')).changes),
    user: (body) => user.get(text(body, 'name')) ?? null,
    deny: (body) => {
      deny.run(text(body, 'subject'), now(), now() + number(body, 'ttlMs'));
      return true;
    },
    denied: (body) => {
      const subjects = [text(body, 'session'), text(body, 'user')] as const;
      return denied.get(now(), ...subjects, number(body, 'beganAtMs')) !== undefined;
    },
    stats: () => stats.get(now()),
  };
}

function text(body: Body, key: string): string {
  const value = body[key];
  if (typeof value !== 'string') throw new TypeError(`${key} must be a string`);
  return value;
}

function number(body: Body, key: string): number {
  const value = body[key];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new TypeError(`${key} must be a number`);
  return Math.round(value);
}
