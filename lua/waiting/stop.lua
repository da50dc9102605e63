-- stop: an operator stops the admission of a waiting room, or lets it go on. Passes go on as they are.
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
--         the channel and the text that tell nodes of a change, and how long in ms a room is kept after its campaign is
--         over; 1 to stop, 0 to go on
--
-- Reply: {'lost'} | {'no_room'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts}
-- Safe to repeat: yes.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
redis.call('HSET', ROOM, 'stopped', ARGV[7])
r.moved = true
leave_room(c, r)
return head('ok', c)
