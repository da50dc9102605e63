-- invalidate: these are not so any more. Value and lock go together, so that no load that began before may write.
--
-- KEYS[1] values  hash    kind:key -> fresh until, made at (13 digits each, ms), payload    onrush:{cache-n}:values
-- KEYS[2] locks   hash    kind:key -> deadline (13 digits, ms), owner                       onrush:{cache-n}:locks
-- KEYS[3] expiry  zset    kind:key -> kept until, in ms                                     onrush:{cache-n}:expiry
-- KEYS[4] meta    hash    bytes, entries, of the shard                                       onrush:{cache-n}:meta
-- ARGV    channel; message; fields, all of this shard
--
-- Reply: how many were kept.
-- Safe to repeat: yes.

-- As in fill.lua.
local ENTRY_BYTES = 160

local bytes, entries = 0, 0
for i = 3, #ARGV do
  local field = ARGV[i]
  local value_bytes = redis.call('HSTRLEN', KEYS[1], field)
  redis.call('HDEL', KEYS[2], field)
  redis.call('ZREM', KEYS[3], field)
  if redis.call('HDEL', KEYS[1], field) == 1 then
    bytes, entries = bytes + value_bytes + 2 * #field + ENTRY_BYTES, entries + 1
  end
end
if entries > 0 then
  redis.call('HINCRBY', KEYS[4], 'bytes', string.format('%d', -bytes))
  redis.call('HINCRBY', KEYS[4], 'entries', -entries)
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return entries
