-- peek: what is true of a campaign now, by the same clock and counters that decide claims.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows
--
-- Reply: {'lost'} | {'missing'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts, next, given_back,
--   lost_numbers}
-- Safe to repeat: yes, it changes nothing (but marks a campaign that it finds lost).
local c, refusal = enter(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not c then return refusal end
local reply = head('ok', c)
reply[8], reply[9] = c.next, c.given_back
reply[10] = tonumber(redis.call('HGET', KEYS[1], 'lost_numbers') or 0)
return reply
