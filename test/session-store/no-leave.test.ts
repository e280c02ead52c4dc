// A store whose access list gives its user less than the store of sessions needs.

import { createClient } from 'redis';
import { expect, onTestFinished, test } from 'vitest';
import { StoreAwayError } from '../../src/session-store/errors.ts';
import { eventually } from '../support/eventually.ts';
import { beginSet, homeSessions } from '../support/home-sessions.ts';
import { sharedRedis } from '../support/redis.ts';

const theRedis = sharedRedis();

test('who may not send notices takes no session whose home would not hear of it', async ({ skip }) => {
  const redis = await theRedis(skip);
  await beginSet(redis);
  await redis.command('ACL', 'SETUSER', 'mute', 'on', '>secret', '~*', '&*', '+@all', '-publish');
  const troubles: string[] = [];
  const mute = homeSessions(redis, {
    client: createClient({ url: redis.url, username: 'mute', password: 'secret' }).on('error', () => {}),
    loadTimeout: 500,
    onTrouble: ({ message }) => troubles.push(message),
  });
  const home = homeSessions(redis);
  expect(await home.set('user', { count: 1 })).toBe('backed');
  await expect(mute.get('user')).rejects.toThrow(StoreAwayError);
  expect(troubles.join()).toMatch(/NOPERM.*publish/i);
  expect(await home.set('user', { count: 2 })).toBe('backed');
  expect(await home.get('user')).toEqual({ count: 2 });
  await redis.command('ACL', 'SETUSER', 'mute', '+publish');
  await eventually(async () => (await mute.get('user').catch(() => null))?.count === 2);
});

test('who may not read the sessions of connect-redis, or has no room for them, does not call them unknown', async ({
  skip,
}) => {
  const redis = await theRedis(skip);
  await beginSet(redis);
  const old = ['one', 'two'];
  for (const id of old) await redis.command('SET', `sess:${id}`, '{"count":1}');
  await redis.command('ACL', 'SETUSER', 'narrow', 'on', '>secret', '~holdfast:*', '&holdfast:*', '+@all');
  const troubles: string[] = [];
  const sessions = homeSessions(redis, {
    client: createClient({ url: redis.url, username: 'narrow', password: 'secret' }).on('error', () => {}),
    adopt: 'sess:',
    onTrouble: ({ message }) => troubles.push(message),
  });
  await expect(sessions.get('one')).rejects.toThrow(StoreAwayError);
  expect(troubles.join()).toMatch(/NOPERM/);
  await redis.command('ACL', 'SETUSER', 'narrow', '~sess:*');
  expect(await sessions.get('one')).toEqual({ count: 1 });
  await redis.command('CONFIG', 'SET', 'maxmemory', '1');
  onTestFinished(async () => void (await redis.command('CONFIG', 'SET', 'maxmemory', '0')));
  await expect(sessions.get('two')).rejects.toThrow(StoreAwayError);
  expect(troubles.join()).toMatch(/OOM/);
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  expect(await sessions.get('two')).toEqual({ count: 1 });
});
