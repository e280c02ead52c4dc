// Preloaded (NODE_OPTIONS=--import) into a Holdfast under test: of names, the system knows COMPLETE_NAME alone, with the dot at
// its end that says that it is complete, and it is this machine.
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';

const known = process.env.COMPLETE_NAME ?? '';
const { lookup } = dns;
dns.lookup = (name, options, found) => {
  const answer = name === known ? '127.0.0.1' : name;
  lookup(answer, { ...options, hints: dns.ADDRCONFIG }, found);
};
syncBuiltinESMExports();
