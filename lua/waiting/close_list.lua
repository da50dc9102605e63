-- close_list: from the opening on, who joins is not drawn any more.
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
--         over
--
-- Reply: {'lost'} | {'no_room'} | {'unchanged'}: nothing is drawn here, or not yet | {'ok', now, generation, epoch, fact_no,
--   left, outbox_facts, numbers that are drawn, 1 if that was published}
-- Safe to repeat: yes.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
if not r.is_draw or c.now < c.opens_at then return { 'unchanged' } end
if not r.draw_n then
  close_list(c, r)
  leave_room(c, r)
end
local reply = head('ok', c)
reply[8], reply[9] = r.draw_n, r.list_hash and 1 or 0
return reply
