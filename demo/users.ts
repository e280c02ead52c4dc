// Who may log in, and the check of a password. Every demo user has the same password, so one record is hashed
// once per process; the verification itself is the real thing for every log-in. A real directory stores a salt
// and a hash per user and a cost of N = 2^17 (OWASP); the demo's default of 2^10 costs about 3 ms, so that a
// log-in storm measures sessions and not scrypt.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** The password of every demo user. */
export const DEMO_PASSWORD = 'holdfast';
/** The users with a name; user1 to userN exist beside them. */
export const NAMED_USERS = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi'] as const;

/** scrypt output with its parameters: all that a user database keeps of a password. */
export interface PasswordRecord {
  /** Hexadecimal. */
  readonly salt: string;
  readonly hash: string;
  /** scrypt N, a power of two. */
  readonly cost: number;
}

/** Finds the stored password of a user; null when there is no such user. */
export interface UserDirectory {
  find(user: string): Promise<PasswordRecord | null>;
}

const HASH_BYTES = 32;

/** Hashes a password with a fresh salt. */
export async function hashPassword(password: string, cost: number): Promise<PasswordRecord> {
  const salt = randomBytes(16);
  return { salt: salt.toString('hex'), hash: (await derive(password, salt, cost)).toString('hex'), cost };
}

/** True when `user` is one of the demo's users. */
export function isDemoUser(user: string, userCount: number): boolean {
  if ((NAMED_USERS as readonly string[]).includes(user)) return true;
  const number = /^user([1-9]\d{0,6})$/.exec(user)?.[1];
  return number !== undefined && Number(number) <= userCount;
}

/** Checks passwords in the same time whether or not the user exists. */
export class PasswordChecker {
  readonly #directory: UserDirectory;
  readonly #nobody: PasswordRecord;

  /** `nobody` stands in for the record of a user who does not exist; give it the cost of the real ones. */
  constructor(directory: UserDirectory, nobody: PasswordRecord) {
    this.#directory = directory;
    this.#nobody = nobody;
  }

  /** True when the user exists and this is the password. Rejects when the directory cannot be reached. */
  async verify(user: string, password: string): Promise<boolean> {
    const found = await this.#directory.find(user);
    const record = found ?? this.#nobody;
    const derived = await derive(password, Buffer.from(record.salt, 'hex'), record.cost);
    return timingSafeEqual(derived, Buffer.from(record.hash, 'hex')) && found !== null;
  }
}

/** The directory of the architectures that have no user database: the demo's users, all with DEMO_PASSWORD. */
export function localDirectory(record: PasswordRecord, userCount: number): UserDirectory {
  return { find: (user) => Promise.resolve(isDemoUser(user, userCount) ? record : null) };
}

function derive(password: string, salt: Buffer, cost: number): Promise<Buffer> {
  const memoryMax = 256 * cost * 8;
  return new Promise((resolve, reject) => {
    scrypt(
      password,
      salt,
      HASH_BYTES,
      { N: cost, r: 8, p: 1, maxmem: Math.max(memoryMax, 32 << 20) },
      (error, key) => {
        if (error === null) resolve(key);
        else reject(error);
      },
    );
  });
}
