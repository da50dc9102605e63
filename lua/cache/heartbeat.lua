-- heartbeat: a node says something to hear itself, and reads the switch.
--
-- KEYS[1] switch  hash    bypass 0 | 1    onrush:cache:switch
-- ARGV    channel; message
--
-- Reply: 1 if the cache is to be bypassed, else 0.
-- Safe to repeat: yes.
redis.call('PUBLISH', ARGV[1], ARGV[2])
if redis.call('HGET', KEYS[1], 'bypass') == '1' then return 1 end
return 0
