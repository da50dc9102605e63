-- look: how a user stands in a waiting room. Who is inside has picked the pass up with this.
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
--         the user
--
-- Reply: {'lost'} | {'no_room'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts, then one of these, the room's life, its moves}
--   0 0 0               never joined
--   1 number 0          waits
--   2 number deadline   is inside
--   5 0 0               was inside or waited, and is not and does not any more
-- Safe to repeat: yes.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
local reply = head('ok', c)
local number, deadline = find_inside(c, r, ARGV[4])
local place = tonumber(redis.call('ZSCORE', PLACES, ARGV[4]) or 0)
if deadline then
  reply[8], reply[9], reply[10] = 2, number, deadline
elseif place > 0 then
  reply[8], reply[9], reply[10] = 1, place, 0
else
  reply[8], reply[9], reply[10] = place == 0 and 0 or 5, 0, 0
end
reply[11], reply[12] = r.life, moves(r)
return reply
