#!lua flags=allow-oom
-- renew: go on loading.
--
-- KEYS[1] locks   hash    kind:key -> deadline (13 digits, ms), owner    onrush:{cache-n}:locks
-- ARGV    field; owner; lease in ms
--
-- Reply: 1, or 0 if the lock is not the caller's any more.
-- Safe to repeat: yes.
-- Out of memory: runs all the same. It is as large as what it replaces.
local lock = redis.call('HGET', KEYS[1], ARGV[1])
if not lock or string.sub(lock, 14) ~= ARGV[2] then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%013d', now + tonumber(ARGV[3])) .. ARGV[2])
return 1
