// The operations of operations.ts as scripts of Redis and Valkey: each is atomic there. test/support/model-store.ts says
// what they do in other words, and a test compares the two.
//
// The record of a session is a hash with short names, a tombstone one with `x`:
//
//   t tenure    o owner    c claimed, until when    v version    w writer    d data    u unsure    x tombstone
//
// KEYS[1] is the record, KEYS[2] the marker of the set of data: id, since (when it began), ready (when what is not there
// is unknown), run (the store's process), seen (when somebody last said hello). Both stand on one server.
import { createHash } from 'node:crypto';

/** A script and the name under which the store keeps it. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

/** Every server says hello once a second: where nobody has for so long, the store stood still. */
export const SILENT_MS = 2500;

/** Whole numbers up to 2^53: Lua prints large ones as 1.7e+12 unless told otherwise. */
const SHARED = `
local function text(number) return string.format('%.0f', number) end
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
-- A store without memory left refuses to begin with what may need some, and lets go on what has begun with a write.
-- For what needs next to nothing: users must be able to go elsewhere and to log out all the same.
local function although_full() redis.call('PERSIST', KEYS[2]) end
-- The time is the one that the script goes by: it goes on while a script runs.
local function mark(me, refill_ms, since)
  local found = redis.call('HMGET', KEYS[2], 'id', 'since', 'ready', 'seen')
  local ready, seen = since + refill_ms, tonumber(found[4] or '0')
  if not found[1] then
    local id = text(since) .. '-' .. me
    redis.call('HSET', KEYS[2], 'id', id, 'since', text(since), 'ready', text(ready), 'seen', text(since))
    return id, since, ready
  end
  -- Nobody could write back what was lost while the store stood still.
  if seen > 0 and seen < tonumber(found[3]) and since - seen > ${SILENT_MS} then
    redis.call('HSET', KEYS[2], 'ready', text(ready), 'seen', text(since))
  else
    ready = tonumber(found[3])
  end
  return found[1], tonumber(found[2]), ready
end
-- What lies further ahead than it can was written before the store's clock was set back, and says nothing any more.
local function is_ahead(ready, now_ms, refill_ms) return ready > now_ms and ready <= now_ms + refill_ms end
local function is_refilling(me, refill_ms)
  local now_ms = now()
  local id, since, ready = mark(me, refill_ms, now_ms)
  return is_ahead(ready, now_ms, refill_ms)
end
local function accepted(tenure, version, is_unsure)
  return { 'accepted', text(tenure), text(version), is_unsure and '1' or '' }
end
local function notice(owner, kind, key, tenure)
  redis.call('PUBLISH', KEYS[2] .. ':' .. owner, kind .. ' ' .. text(tenure) .. ' ' .. key)
end
-- A claim of the server itself, whose answer it never had, has raised the tenure.
local function is_own_claim(record, tenure, me)
  return record.owner == me and (record.writer == me or record.tenure == tenure + 1)
end
local function read()
  local found = redis.call('HMGET', KEYS[1], 't', 'o', 'v', 'w', 'x', 'c', 'u')
  if not found[1] then return nil end
  return {
    tenure = tonumber(found[1]), owner = found[2], version = tonumber(found[3]), writer = found[4],
    is_tombstone = found[5] ~= false, claimed_ms = tonumber(found[6] or '0'), is_unsure = found[7] == '1',
  }
end
`;

function script(body: string): Script {
  const text = SHARED + body;
  return { text, sha: createHash('sha1').update(text).digest('hex') };
}

export const SCRIPTS = {
  /**
   * me, refillMs, isRefilling (1 or 0), run -> id of the set of data, the store's clock. Who refills says so again and again:
   * what stood there may be from before the clock was set back. Another process of the store may have come back with data
   * from before, and nobody could write while there was none.
   */
  hello: script(`
local me, refill_ms = ARGV[1], tonumber(ARGV[2])
although_full()
local now_ms = now()
local id = mark(me, refill_ms, now_ms)
local run = ARGV[4]
local was_run = run ~= '' and redis.call('HGET', KEYS[2], 'run')
if ARGV[3] == '1' or (was_run and was_run ~= run) then
  redis.call('HSET', KEYS[2], 'ready', text(now_ms + refill_ms))
end
if run ~= '' and was_run ~= run then redis.call('HSET', KEYS[2], 'run', run) end
redis.call('HSET', KEYS[2], 'seen', text(now_ms))
return { 'hello', id, text(now_ms) }
`),

  /**
   * me, refillMs, name of the key in notices, untilMs, claimMsMax. A claim that lies too far ahead is from before the store's
   * clock was set back, as in is_ahead.
   */
  claim: script(`
local me, refill_ms, name, until_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local now_ms, claim_ms_max = now(), tonumber(ARGV[5])
if until_ms > 0 and until_ms < now_ms then return { 'late' } end
although_full()
local record = read()
if record and record.is_tombstone then return { 'destroyed' } end
local id, since, ready = mark(me, refill_ms, now_ms)
local is_refilling = is_ahead(ready, now_ms, refill_ms)
if not record then return { is_refilling and 'again' or 'unknown' } end
if record.is_unsure and is_refilling then return { 'again' } end
local is_later = until_ms < record.claimed_ms and record.claimed_ms <= now_ms + claim_ms_max
if until_ms > 0 and is_later then return { 'late' } end
local tenure = math.max(record.tenure + 1, since)
redis.call('HSET', KEYS[1], 't', text(tenure), 'o', me, 'c', text(until_ms), 'u', '')
local from = ''
if record.owner ~= me then
  from = record.owner
  notice(from, 'taken', name, tenure)
end
return { 'claimed', text(tenure), text(record.version), redis.call('HGET', KEYS[1], 'd'),
  redis.call('PTTL', KEYS[1]), from, text(record.tenure) }
`),

  /** me, refillMs, name of the key in notices, tenure, version, data, lifeMs, isUnsure (1 or 0), id of the set of data or '', untilMs */
  write: script(`
local me, refill_ms, name, tenure, version = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local data, life, is_unsure, until_ms = ARGV[6], ARGV[7], ARGV[8] == '1', tonumber(ARGV[10])
local record = read()
local function put(as_tenure)
  redis.call('HSET', KEYS[1], 't', text(as_tenure), 'o', me, 'v', text(version), 'w', me, 'd', data,
    'u', is_unsure and '1' or '')
end
if not record then
  if ARGV[9] ~= '' and redis.call('HGET', KEYS[2], 'id') ~= ARGV[9] then return { 'late' } end
  tenure = math.max(1, tenure)
  put(tenure)
  redis.call('PEXPIRE', KEYS[1], life)
  return accepted(tenure, version, is_unsure and is_refilling(me, refill_ms))
end
if record.is_tombstone then return { 'destroyed' } end
local is_mine = record.owner == me
local taken = nil
if tenure == 0 then
  if is_mine and (record.writer == me or record.version < version) then taken = record.tenure end
elseif record.tenure < tenure or (record.tenure == tenure and is_mine) then taken = tenure
elseif is_own_claim(record, tenure, me) and not (until_ms > 0 and until_ms < record.claimed_ms) then taken = record.tenure
end
if not taken then return { 'stale', text(record.tenure) } end
if taken == record.tenure then is_unsure = record.is_unsure end
if record.writer == me and record.version > version then
  redis.call('HSET', KEYS[1], 't', text(taken), 'o', me, 'u', is_unsure and '1' or '')
  version = record.version
else
  put(taken)
end
redis.call('PEXPIRE', KEYS[1], life)
if not is_mine then notice(record.owner, 'taken', name, taken) end
return accepted(taken, version, is_unsure and is_refilling(me, refill_ms))
`),

  /** me, refillMs, tenure, version, lifeMs */
  touch: script(`
local me, refill_ms, tenure, version = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local record = read()
if not record then return { 'behind' } end
if record.is_tombstone then return { 'destroyed' } end
local is_higher = record.tenure > tenure or (record.tenure == tenure and record.owner ~= me)
if is_higher and not is_own_claim(record, tenure, me) then return { 'stale', text(record.tenure) } end
if record.tenure < tenure or record.version < version then return { 'behind' } end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return accepted(record.tenure, record.version, record.is_unsure and is_refilling(me, refill_ms))
`),

  /** me, name of the key in notices, lifeMs. Who has no copy does not know how long others may have one: a day at most. */
  destroy: script(`
local me, name = ARGV[1], ARGV[2]
although_full()
local record = read()
local tenure, life = 1, tonumber(ARGV[3])
if record then
  tenure = record.tenure + 1
  life = math.max(life, math.min(86400000, redis.call('PTTL', KEYS[1])))
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 't', text(tenure), 'o', me, 'v', '0', 'w', me, 'd', '', 'x', '1')
redis.call('PEXPIRE', KEYS[1], text(life))
if record and not record.is_tombstone and record.owner ~= me then notice(record.owner, 'ended', name, tenure) end
return accepted(tenure, 0, false)
`),

  /** lifeMs where it has none. KEYS[3], a session as connect-redis keeps it, becomes a record where there is none. */
  adopt: script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return { 'known' } end
local data = redis.call('GET', KEYS[3])
if not data then return { 'unknown' } end
local life = redis.call('PTTL', KEYS[3])
if life <= 0 then life = ARGV[1] end
redis.call('HSET', KEYS[1], 't', '1', 'o', '', 'v', '1', 'w', '', 'd', data)
redis.call('PEXPIRE', KEYS[1], life)
return { 'adopted' }
`),
} as const satisfies Record<string, Script>;
