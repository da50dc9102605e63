-- find: the claims of a campaign with the numbers after this one.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] claims    hash    number -> user, time, attempt, state    onrush:{id}:claims
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows;
--         a number; how many numbers after it are looked at
--
-- Reply: {'lost'} | {'missing'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts, the last number that was
--   looked at, '' if there are none beyond the one that was given; then number US claim, ...}, by number
-- Safe to repeat: yes, it changes nothing (but marks a campaign that it finds lost).
local c, refusal = enter(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
if not c then return refusal end
local reply = head('ok', c)
local after = tonumber(ARGV[4])
local last = math.min(c.next, after + tonumber(ARGV[5]))
if last <= after then
  reply[8] = ''
  return reply
end
reply[8] = digits(last)
local numbers = {}
for number = after + 1, last do numbers[#numbers + 1] = digits(number) end
local records = redis.call('HMGET', KEYS[2], unpack(numbers))
for i, number in ipairs(numbers) do
  if records[i] then reply[#reply + 1] = number .. US .. records[i] end
end
return reply
