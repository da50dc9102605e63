-- publish_draw: make a draw known: the hash of its list, after the places that nobody waits at were noted.
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
--         over; the hash, or '' while there are more places to note; how many places of all that are drawn nobody waits at;
--         a byte of the departures and what is written from there on, or 0 and ''; more places that nobody waits at
--
-- Reply: {'lost'} | {'no_room'} | {'unchanged'}: it was published before, or the list is not closed | {'ok', now,
--   generation, epoch, fact_no, left, outbox_facts}
-- Safe to repeat: yes. What several nodes find is the same, since nobody leaves a list that is being drawn.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
if not r.draw_n or r.list_hash then return { 'unchanged' } end
if ARGV[10] ~= '' then redis.call('SETRANGE', DEPARTURES, ARGV[9], ARGV[10]) end
for i = 11, #ARGV do redis.call('SETBIT', DEPARTURES, ARGV[i], 1) end
if ARGV[7] ~= '' then
  redis.call('HSET', ROOM, 'list_hash', ARGV[7], 'drawn_at', digits(c.now))
  r.list_hash, r.departures, r.moved = ARGV[7], r.departures + ARGV[8], true
end
leave_room(c, r)
return head('ok', c)
