#!lua flags=allow-oom
-- set: set fields of a small hash that belongs to no campaign: how alarms stand, whether the cache is bypassed.
--
-- KEYS[1] any  hash    the few fields that it has    onrush:alarms, onrush:cache:switch
-- ARGV    field, value, alternating
--
-- Reply: the number of fields that are new.
-- Safe to repeat: yes.
-- Also when Redis has no memory left: that is when alarms are wanted.
return redis.call('HSET', KEYS[1], unpack(ARGV))
