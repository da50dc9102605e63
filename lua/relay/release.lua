-- release: give a campaign up, so that another relay need not wait for the lease to end.
--
-- KEYS[1] lease  string  owner:token    onrush:{id}:relay
-- ARGV    owner; token
--
-- Reply: 1, or 0 if the lease is not this relay's.
-- Safe to repeat: yes.
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ':' .. ARGV[2] then return 0 end
return redis.call('DEL', KEYS[1])
