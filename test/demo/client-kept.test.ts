import { contractSuite } from './contract.ts';

const carried = { shared: true, counted: false } as const;
contractSuite({ title: 'cookie', options: { architecture: 'cookie' }, revocable: false, ...carried });
contractSuite({ title: 'jwt', options: { architecture: 'jwt' }, revocable: false, ...carried });
contractSuite({
  title: 'jwt with deny list',
  options: { architecture: 'jwt', denyList: true },
  revocable: true,
  ...carried,
});
