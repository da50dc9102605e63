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
--         the channel and the text that tell nodes of a change; how many may be admitted, and how many overdue passes
--         removed, in one call; how long in ms a room is kept after its campaign is over; of a draw: a place, and the
--         numbers that have it and those after it
--
-- Reply: {'lost'} | {'no_room'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts, admitted by this call, passes
--   that ended, users who wait, users inside, from which place on drawn numbers are wanted or 0}
-- Safe to repeat: yes. Any number of nodes may call it at any time: what may be admitted is judged here.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
local drawn = {}
for i = 10, #ARGV do drawn[#drawn + 1] = ARGV[i] end
local admitted_to, in_window = r.admitted_to, r.in_window
local expired = expire(c, r, tonumber(ARGV[7]))
local admitted, wanted = admit(c, r, tonumber(ARGV[6]), tonumber(ARGV[9]), drawn)
-- Many calls find nothing to do, and then nothing is written.
if admitted > 0 or expired > 0 or r.admitted_to ~= admitted_to or r.in_window ~= in_window then
  leave_room(c, r, ARGV[4], ARGV[5])
end
-- A campaign that is over may go on: what closes at a time may be given a later one.
local ends = is_over(c)
if ends or redis.call('PTTL', ROOM) > 0 then
  for _, key in ipairs({ ROOM, PLACES, INSIDE, PASSES, DEPARTURES, PACE, ARRIVALS, WAITS }) do
    if ends then redis.call('PEXPIRE', key, ARGV[8], 'NX') else redis.call('PERSIST', key) end
  end
end
local reply = head('ok', c)
reply[8], reply[9], reply[10], reply[11], reply[12] = admitted, expired, r.waiting, redis.call('ZCARD', INSIDE), wanted
return reply
