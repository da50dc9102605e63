#!lua flags=allow-oom
-- enter: ask for the right to load an entry. The lock is the permit to write it.
--
-- KEYS[1] values  hash    kind:key -> fresh until, made at (13 digits each, ms), payload    onrush:{cache-n}:values
-- KEYS[2] locks   hash    kind:key -> deadline (13 digits, ms), owner                       onrush:{cache-n}:locks
-- ARGV    mode; field; owner; lease in ms; made at
--         mode: 'miss'     no lock where a fresh value is there
--               'refresh'  the lock although one is there, unless it was made later than the caller has seen ('made at')
--               'steal'    the lock, whatever is there and whoever has it
--
-- Reply: {'found', now, value}                             fresh
--        {'load', now, value | nil}                        the lock is the caller's; what is kept, fresh or not
--        {'busy', now, value | nil, ms until the lease ends}
-- Safe to repeat: yes; the holder's lease starts anew.
-- Out of memory: runs all the same. A lock is small, and there are as many as there are loads.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local mode, field, owner = ARGV[1], ARGV[2], ARGV[3]
local value = redis.call('HGET', KEYS[1], field)
if value and mode ~= 'steal' and tonumber(string.sub(value, 1, 13)) > now then
  if mode == 'miss' or tonumber(string.sub(value, 14, 26)) > tonumber(ARGV[5]) then return { 'found', now, value } end
end
local lock = redis.call('HGET', KEYS[2], field)
if lock and mode ~= 'steal' and string.sub(lock, 14) ~= owner then
  local ends_in = tonumber(string.sub(lock, 1, 13)) - now
  if ends_in > 0 then return { 'busy', now, value, ends_in } end
end
redis.call('HSET', KEYS[2], field, string.format('%013d', now + tonumber(ARGV[4])) .. owner)
return { 'load', now, value }
