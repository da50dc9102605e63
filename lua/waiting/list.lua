-- list: who waits with which number, a page at a time, in the order of the numbers.
--
-- KEYS[1] campaign   hash    see lua/prelude.lua            onrush:{id}:campaign
-- KEYS[2] room       hash    this and all below: see prelude.lua   onrush:{id}:room
-- KEYS[3] places     zset    user -> number                onrush:{id}:places
-- KEYS[4] inside     zset    user -> deadline              onrush:{id}:inside
-- KEYS[5] passes     hash    user -> number, state         onrush:{id}:passes
-- KEYS[6] departures bitmap  places left out of turn       onrush:{id}:departures
-- KEYS[7] pace       list    admissions of the last window onrush:{id}:pace
-- KEYS[8] arrivals   zset    ms by number                  onrush:{id}:arrivals
-- KEYS[9] waits      hash    seconds -> users              onrush:{id}:waits
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows;
--         the number after which the page begins, the last number that is wanted, how many there may be
--
-- Reply: {'lost'} | {'no_room'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts, then user, number,
--   alternating}
-- Safe to repeat: yes, it changes nothing.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
enter_room(c)
local reply = head('ok', c)
local found = redis.call('ZRANGEBYSCORE', PLACES, '(' .. ARGV[4], ARGV[5], 'WITHSCORES', 'LIMIT', 0, ARGV[6])
for i, value in ipairs(found) do reply[7 + i] = value end
return reply
