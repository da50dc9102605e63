#!lua flags=allow-oom
-- announce: tell every node that a campaign has changed, and keep it on record for nodes that did not hear.
--
-- KEYS[1] directory zset    campaign id -> sequence of its last change    onrush:directory
-- ARGV    campaign id; the channel that nodes listen to
--
-- Reply: the sequence. It is taken and written in one step: whoever has read up to a sequence has missed nothing below.
-- Safe to repeat: yes.
-- Also when Redis has no memory left: what was closed or paused then has to be heard.
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
local sequence = (tonumber(last[2]) or 0) + 1
redis.call('ZADD', KEYS[1], sequence, ARGV[1])
redis.call('PUBLISH', ARGV[2], ARGV[1])
return sequence
