-- publish_draw: make a draw known: the hash of its list, after the places of those who had left before it were noted.
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
--         the channel and the text that tell nodes of a change; the hash, or '' while there are more places to note;
--         places that nobody waits at
--
-- Reply: {'lost'} | {'no_room'} | {'unchanged'}: it was published before, or the list is not closed | {'ok', now,
--   generation, epoch, fact_no, left, outbox_facts}
-- Safe to repeat: yes. What several nodes find is the same, since nobody leaves a list that is being drawn.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
if not r.draw_n or r.list_hash then return { 'unchanged' } end
for i = 7, #ARGV do
  if redis.call('SETBIT', DEPARTURES, ARGV[i], 1) == 0 then r.departures = r.departures + 1 end
end
if ARGV[6] ~= '' then
  redis.call('HSET', ROOM, 'list_hash', ARGV[6], 'drawn_at', digits(c.now))
  r.moved = true
end
leave_room(c, r, ARGV[4], ARGV[5])
return head('ok', c)
