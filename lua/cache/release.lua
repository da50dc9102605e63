-- release: give the right to load up, with nothing to keep, and wake those who wait.
--
-- KEYS[1] locks   hash    kind:key -> deadline (13 digits, ms), owner    onrush:{cache-n}:locks
-- ARGV    field; owner; channel; message ('': nobody waits)
--
-- Reply: 1, or 0 if the lock is not the caller's any more.
-- Safe to repeat: yes.
local lock = redis.call('HGET', KEYS[1], ARGV[1])
if not lock or string.sub(lock, 14) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end
return 1
