// The keys of a listener's `tls`.

import { ALPN_PROTOCOLS, type AlpnProtocol } from '../tls/options.ts';
import { checkDirectory, checkEmail, checkHostPattern } from './check-text.ts';
import { choice, duration, flag, integer, leaf, shownValue, text } from './leaf.ts';
import { groups, orOff, passphrase, rate } from './schema-parts.ts';
import {
  either,
  key,
  type Leaf,
  list,
  mapping,
  oneOrMore,
  optional,
  type Reading,
  required,
  type Substitution,
  short,
} from './table.ts';

const SECOND = 1_000;
const DAY = 24 * 60 * 60 * SECOND;
const CERTIFICATES_MAX = 1_000;
const NAMES_MAX = 1_000;

const path = (): Leaf<string, string, ''> =>
  text('path', (value) => (value === '' ? 'must not be empty' : null));

const certificate = mapping(
  {
    cert: required(path(), 'PEM file: the certificate, then those that lead to its authority'),
    key: required(path(), 'PEM file: its private key, which nobody else may read'),
    chain: optional(
      path(),
      'PEM file: the certificates that lead to the authority, where `cert` holds its own alone',
    ),
    passphrase: optional(
      passphrase(),
      'opens an encrypted key; from the environment, rather than written here',
    ),
  },
  'certificate',
);

const folder = mapping({
  folder: required(
    path(),
    'all pairs in a folder: `NAME.pem` (or `.crt`, `.cer`) with `NAME.key`, and folders with `fullchain.pem` and `privkey.pem`; in the order of their names, but `default` first',
  ),
});

/** Lower case. */
function hostName(): Leaf<string, string, ''> {
  const name = text('host name', checkHostPattern);
  return leaf({ ...name.shown }, (written): Reading<string> => {
    const reading = name.read(written);
    return 'value' in reading ? { ...reading, value: reading.value.toLowerCase() } : reading;
  });
}

/** Words of YAML that look like numbers. */
function version(): Leaf<'1.2' | '1.3' | Substitution, '1.2' | '1.3', ''> {
  return leaf({ kind: 'word', enum: ['1.2', '1.3'] }, (written): Reading<'1.2' | '1.3'> => {
    const word = String(written);
    if (word === '1.2' || word === '1.3') return { value: word };
    return { refused: `must be "1.2" or "1.3", as older versions are broken; not ${shownValue(written)}` };
  });
}

function protocol(): Leaf<AlpnProtocol | Substitution, AlpnProtocol, ''> {
  return leaf({ kind: 'word', enum: ALPN_PROTOCOLS }, (written): Reading<AlpnProtocol> => {
    const value = ALPN_PROTOCOLS.find((name) => name === written);
    if (value !== undefined) return { value };
    return {
      refused: `must be ${ALPN_PROTOCOLS.join(' or ')}, which is what is spoken here, not ${shownValue(written)}`,
    };
  });
}

/** null is off. */
function rateOrOff(): Leaf<string, number | null, ''> {
  const events = rate(1 / 60, 100_000);
  const readRate = (written: unknown): Reading<number | null> =>
    written === false || written === 'off' ? { value: null } : events.read(written);
  return leaf({ kind: 'rate or off', type: 'string' }, readRate, (perSecond) =>
    perSecond === null ? 'off' : events.write(perSecond),
  );
}

const hsts = mapping({
  maxAge: key(duration(0, 3_650 * DAY), '365d', 'how long browsers remember'),
  includeSubDomains: key(flag(), false, 'for all names below this one too'),
  preload: key(flag(), false, 'the operator agrees to be in the list that comes with browsers'),
});

const acme = mapping(
  {
    email: required(
      text('e-mail address', checkEmail),
      'where the authority writes when something is wrong with a certificate',
    ),
    names: optional(
      oneOrMore(hostName(), NAMES_MAX),
      'names that clients use, each with a certificate of its own; absent: the hosts of routes, but for those with a wildcard',
    ),
    directory: key(
      text('URL', checkDirectory),
      'https://acme-v02.api.letsencrypt.org/directory',
      'the authority: the address of its directory. With it you agree to its terms of service',
    ),
    challenge: key(
      choice(['http-01', 'tls-alpn-01']),
      'http-01',
      'how it is shown that the names lead here: `http-01`, the authority connects to port 80 of each name, and a listener in the clear must answer there; `tls-alpn-01`, to port 443, and this listener must',
    ),
    storage: key(
      path(),
      './acme',
      'folder for account, keys and certificates, made where there is none; must outlive the process. Processes of one machine may share it',
    ),
    ca: optional(
      path(),
      "PEM file: authorities of the directory's own certificate; absent: those that Node comes with",
    ),
  },
  'acme',
);

export const tls = mapping(
  {
    certificates: optional(
      oneOrMore(
        either(
          certificate,
          folder,
          short(path(), folder, (value) => ({ folder: value })),
        ),
        CERTIFICATES_MAX,
      ),
      'the first is for clients that ask for no name we know; the others are chosen by name (SNI), exact before wildcard, one for each kind of key. A plain path is short for `{ folder: … }`. Changed files are used from the next connection on',
    ),
    selfSigned: key(
      flag(),
      false,
      '`true`: a certificate for localhost that signs itself, made at start, for development; instead of `certificates`',
    ),
    acme: optional(
      acme,
      'certificates that are ordered and renewed by themselves (RFC 8555), for names that `certificates` are not for',
    ),
    minVersion: optional(version(), 'oldest version of TLS; absent: 1.2, with `ciphers: modern` 1.3'),
    ciphers: key(
      choice(['intermediate', 'modern']),
      'intermediate',
      "Mozilla's profiles: `intermediate` for all clients of the last ten years, `modern` for TLS 1.3 alone",
    ),
    groups: optional(
      groups(),
      'groups of the key exchange, the preferred first, such as `[X25519MLKEM768, X25519, P-256]`; a client that has sent a key for some of them gets the first of those. Also called curves; absent: `X25519MLKEM768`, `X25519`, `P-256` and `P-384`, in the order of the client',
    ),
    alpn: key(
      list(protocol(), { min: 1, max: 8 }),
      ['h2', 'http/1.1'],
      'protocols that a client may choose, the preferred first; `h2` is HTTP/2',
    ),
    clientAuth: key(
      choice(['none', 'request', 'require']),
      'none',
      'certificates of clients: not asked for; asked for, and servers are told what came of it; without a good one there is no connection',
    ),
    ca: optional(path(), 'PEM file: authorities of client certificates'),
    crl: optional(path(), 'PEM file: revocation lists of these authorities, one for each'),
    handshakeTimeout: key(duration(100, 60 * SECOND), '5s', 'the handshake must be over within this time'),
    handshakesMax: key(
      integer(1, 100_000),
      4_000,
      'most handshakes under way at once on one thread; beyond it who has said nothing goes first',
    ),
    handshakeRate: key(
      rateOrOff(),
      'off',
      'new handshakes of one client address over a longer time, all threads together; those of a second may come at once',
    ),
    hsts: key(
      orOff(hsts),
      'off',
      'Strict-Transport-Security: browsers use https alone from now on. Goes out with every response of a server, instead of its own',
    ),
  },
  'tls',
);
