-- admit: let the next in, as many as pace, cap and units allow, after those whose time is over were let go.
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
--         over; how many may be admitted, and how many overdue passes removed, in one call; of a draw: two places, and
--         all places from the one to the other at which somebody may wait, each with the number that has it
--
-- Reply: {'lost'} | {'no_room'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts, admitted by this call, passes
--   that ended, users who wait, users inside, from which place on drawn numbers are wanted or 0}
-- Safe to repeat: yes. Any number of nodes may call it at any time: what may be admitted is judged here.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
local drawn = {}
for i = 11, #ARGV do drawn[#drawn + 1] = ARGV[i] end
local admitted_to, in_window = r.admitted_to, r.in_window
local expired = expire(c, r, tonumber(ARGV[8]))
local admitted, wanted = admit(c, r, tonumber(ARGV[7]), tonumber(ARGV[9]), tonumber(ARGV[10]), drawn)
-- Many calls find nothing to do, and then nothing is written but when a room is to go.
if admitted > 0 or expired > 0 or r.admitted_to ~= admitted_to or r.in_window ~= in_window then
  leave_room(c, r)
else
  see_to_the_end(c)
end
local reply = head('ok', c)
reply[8], reply[9], reply[10], reply[11], reply[12] = admitted, expired, r.waiting, redis.call('ZCARD', INSIDE), wanted
return reply
