#!lua flags=allow-oom
-- take: become, or stay, the one node that does a job.
--
-- KEYS[1] lease  string  owner, expires    onrush:lease:<job>
-- ARGV    owner; lease in ms
--
-- Reply: 1, or 0 if another node has the job.
-- Safe to repeat: yes; the holder's lease starts anew.
-- Also when Redis has no memory left: who tells of it needs the lease.
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
