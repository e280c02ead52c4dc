// Sessions as the store keeps them: in the clear, or sealed so that whoever reads the store learns only their lengths.
//
//   1 . key's name . base64url( nonce 12 | tag 16 | AES-256-GCM of the session )
//
// Each record has a key of its own, made of the secret and of the record's name: a value is of no use under another
// name, and no key ever seals so much that nonces could meet.
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';

const VERSION = '1';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NAME_LENGTH = 6;

interface Secret {
  readonly name: string;
  readonly secret: string;
}

/** Seals with the first of its secrets, opens with any. Without secrets everything is in the clear. */
export class Sealing {
  readonly #secrets: readonly Secret[];
  readonly #opensClear: boolean;

  /** `opensClear`: what is not sealed is read too, as it must be while old sessions are taken over. */
  constructor(secrets: readonly string[], opensClear: boolean) {
    this.#secrets = secrets.map((secret) => ({ secret, name: nameOf(secret) }));
    this.#opensClear = opensClear || secrets.length === 0;
  }

  seal(data: string, record: string): string {
    const [first] = this.#secrets;
    if (first === undefined) return data;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, keyOf(first.secret, record), nonce);
    const sealed = [cipher.update(data, 'utf8'), cipher.final()];
    return `${VERSION}.${first.name}.${Buffer.concat([nonce, cipher.getAuthTag(), ...sealed]).toString('base64url')}`;
  }

  /** Whether `seal` would do it this way: with the secret that is now the first. */
  isAsSealed(text: string): boolean {
    const [first] = this.#secrets;
    return first === undefined || text.startsWith(`${VERSION}.${first.name}.`);
  }

  /** Null when it cannot be opened: sealed with a secret that is not here, or tampered with. */
  open(text: string, record: string): string | null {
    const [version, name, body] = text.split('.', 3);
    if (version !== VERSION || body === undefined) return this.#opensClear ? text : null;
    const found = this.#secrets.find((one) => one.name === name);
    if (found === undefined) return null;
    const bytes = Buffer.from(body, 'base64url');
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return null;
    const nonce = bytes.subarray(0, NONCE_BYTES);
    const decipher = createDecipheriv(CIPHER, keyOf(found.secret, record), nonce, {
      authTagLength: TAG_BYTES,
    });
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    try {
      const opened = [decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()];
      return Buffer.concat(opened).toString('utf8');
    } catch {
      return null;
    }
  }
}

function nameOf(secret: string): string {
  return createHash('sha256').update(`name ${secret}`).digest('base64url').slice(0, NAME_LENGTH);
}

function keyOf(secret: string, record: string): Buffer {
  return createHmac('sha256', secret).update(`seal ${record}`).digest();
}
