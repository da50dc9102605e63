-- held: every claim that a user ever made of a campaign.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] holders   hash    user -> number:attempt:state,...        onrush:{id}:holders
-- KEYS[3] claims    hash    number -> user, time, attempt, state    onrush:{id}:claims
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows; user
--
-- Reply: {'lost'} | {'missing'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts, number US claim, ...}, by
--   number
-- Safe to repeat: yes, it changes nothing (but marks a campaign that it finds lost).
local c, refusal = enter(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not c then return refusal end
local reply = head('ok', c)
local record = redis.call('HGET', KEYS[2], ARGV[4]) or ''
for number in string.gmatch(record, '(%d+):[^:,]+:%a') do
  reply[#reply + 1] = number .. US .. redis.call('HGET', KEYS[3], number)
end
return reply
