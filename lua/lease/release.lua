-- release: give a job up, so that another node need not wait for the lease to end.
--
-- KEYS[1] lease  string  owner    onrush:lease:<job>
-- ARGV    owner
--
-- Reply: 1, or 0 if the lease is not this node's.
-- Safe to repeat: yes.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
