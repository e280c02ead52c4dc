import { contractSuite } from './contract.ts';

const kept = { revocable: true, counted: true } as const;
contractSuite({ title: 'memory', options: { architecture: 'memory' }, shared: false, ...kept });
contractSuite({
  title: 'replicated, asynchronous',
  options: { architecture: 'replicated', replication: 'async' },
  shared: true,
  ...kept,
});
contractSuite({
  title: 'replicated, synchronous',
  options: { architecture: 'replicated', replication: 'sync' },
  shared: true,
  ...kept,
});
