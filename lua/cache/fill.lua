-- fill: keep what was loaded, if the lock is still the caller's, and give the lock up.
--
-- KEYS[1] values  hash    kind:key -> fresh until, made at (13 digits each, ms), payload    onrush:{cache-n}:values
-- KEYS[2] locks   hash    kind:key -> deadline (13 digits, ms), owner                       onrush:{cache-n}:locks
-- KEYS[3] expiry  zset    kind:key -> kept until, in ms                                     onrush:{cache-n}:expiry
-- KEYS[4] meta    hash    bytes, entries, of the shard                                       onrush:{cache-n}:meta
-- ARGV    field; owner; payload; fresh for ms; kept beyond that for ms; bytes of the shard at most;
--         channel; message ('': nobody waits)
--
-- Reply: {'lost'}                   the lock is not the caller's any more: nothing was written
--        {'full', evicted, swept}   it is larger than the shard may be: what was kept of it is gone
--        {'no_memory', evicted, swept}   Redis has none left, for this or anything else: likewise
--        {'ok', evicted, swept}     entries that went to make room, and those whose time was over
-- Safe to repeat: yes; the second time it is 'lost'.
local field, owner, bytes_max = ARGV[1], ARGV[2], tonumber(ARGV[6])
local lock = redis.call('HGET', KEYS[2], field)
if not lock or string.sub(lock, 14) ~= owner then return { 'lost' } end

-- What one entry takes besides its field, which is there twice, and its value: measured, about.
local ENTRY_BYTES = 160
-- How many of those whose time is over one call takes away, and how many overdue locks it looks at.
local SWEEP, LOCKS = 16, 3

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local meta = redis.call('HMGET', KEYS[4], 'bytes', 'entries')
local bytes, entries = tonumber(meta[1] or 0), tonumber(meta[2] or 0)

local function take_away(gone)
  local value_bytes = redis.call('HSTRLEN', KEYS[1], gone)
  redis.call('ZREM', KEYS[3], gone)
  if redis.call('HDEL', KEYS[1], gone) == 1 then
    bytes, entries = bytes - value_bytes - 2 * #gone - ENTRY_BYTES, entries - 1
  end
end

-- Redis judges a script's first write alone by the memory that is left, so one that changes nothing comes first.
local probe = redis.pcall('HSET', KEYS[2], field, lock)
local has_memory = type(probe) == 'number'
if not has_memory and string.sub(probe.err, 1, 3) ~= 'OOM' then return probe end

take_away(field)
local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, SWEEP)
for _, gone in ipairs(due) do take_away(gone) end
local overdue = redis.call('HRANDFIELD', KEYS[2], LOCKS, 'WITHVALUES')
for i = 1, #overdue, 2 do
  if tonumber(string.sub(overdue[i + 1], 1, 13)) <= now then redis.call('HDEL', KEYS[2], overdue[i]) end
end

local value = string.format('%013d%013d', now + tonumber(ARGV[4]), now) .. ARGV[3]
local more = #value + 2 * #field + ENTRY_BYTES
local code, evicted = 'ok', 0
if more > bytes_max then
  code = 'full'
elseif not has_memory then
  code = 'no_memory'
else
  while bytes + more > bytes_max do
    local first = redis.call('ZRANGE', KEYS[3], 0, SWEEP - 1)
    if #first == 0 then break end
    for _, gone in ipairs(first) do
      if bytes + more > bytes_max then
        take_away(gone)
        evicted = evicted + 1
      end
    end
  end
  redis.call('HSET', KEYS[1], field, value)
  redis.call('ZADD', KEYS[3], now + tonumber(ARGV[4]) + tonumber(ARGV[5]), field)
  bytes, entries = bytes + more, entries + 1
end
redis.call('HDEL', KEYS[2], field)
redis.call('HSET', KEYS[4], 'bytes', string.format('%d', bytes), 'entries', string.format('%d', entries))
if ARGV[8] ~= '' then redis.call('PUBLISH', ARGV[7], ARGV[8]) end
return { code, evicted, #due }
