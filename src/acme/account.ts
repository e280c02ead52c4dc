// The account at an authority: made once, kept, made anew where the authority does not know it any more.

import { createPrivateKey } from 'node:crypto';
import { Answer, secureUrl } from './answers.ts';
import type { Authority } from './authority.ts';
import { AcmeProblem } from './problem.ts';
import { keyText, newKey, type Signer } from './signing.ts';
import type { AcmeStorage, StoredAccount } from './storage.ts';

/** Makes it, or says the authority its new e-mail address, where that is needed. Rejects with AcmeProblem. */
export async function signerOf(authority: Authority, storage: AcmeStorage, email: string): Promise<Signer> {
  const known = storage.account();
  const contact = [`mailto:${email}`];
  if (known !== null && known.url !== '') {
    const signer = { key: createPrivateKey(known.key), accountUrl: known.url };
    if (known.email === email) return signer;
    await authority.post(known.url, { contact }, signer, 'the e-mail address of the account');
    storage.keepAccount({ ...known, email });
    return signer;
  }
  // kept before the authority has it: a key that is lost in between costs an account
  const account: StoredAccount = { url: '', email, key: known?.key ?? keyText(newKey()) };
  storage.keepAccount(account);
  const key = createPrivateKey(account.key);
  const url = (await authority.directory()).url('newAccount');
  const wanted = { termsOfServiceAgreed: true, contact };
  const reply = await authority.post(url, wanted, { key, accountUrl: null }, 'a new account');
  const accountUrl = secureUrl(reply.location, 'the address of the new account');
  storage.keepAccount({ ...account, url: accountUrl });
  return { key, accountUrl };
}

/** Whether the account is the reason: it is not known any more, or has been deactivated. */
export async function isAccountGone(
  authority: Authority,
  storage: AcmeStorage,
  { type }: AcmeProblem,
): Promise<boolean> {
  if (type !== 'unauthorized') return type === 'accountDoesNotExist';
  const known = storage.account();
  if (known === null || known.url === '') return false;
  const signer = { key: createPrivateKey(known.key), accountUrl: known.url };
  try {
    const { body } = await authority.post(known.url, null, signer, 'the account');
    return Answer.parse(body, 'the account').text('status') !== 'valid';
  } catch (error) {
    return error instanceof AcmeProblem && error.fault === 'refused';
  }
}
