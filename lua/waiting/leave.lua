-- leave: a user goes, whether waiting or inside. Who goes from inside makes room for the next at once.
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
--         over; how many may be admitted, and how many overdue passes removed, in one call; the user; a number and the place
--         that was drawn for it, or 0 and 0
--
-- Reply: {'lost'} | {'no_room'} | {'drawing'}: to be tried again | {'place_of', number}: to be called again with the place
--   that was drawn for it | {'ok', now, generation, epoch, fact_no, left, outbox_facts, admitted by this call, passes that
--   ended}
-- Safe to repeat: yes; who is not there has left.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
local user = ARGV[9]
local number, place = tonumber(redis.call('ZSCORE', PLACES, user) or 0), nil
if number > 0 then
  if is_being_drawn(r, number) then return { DRAWING } end
  place = number
  if number <= (r.draw_n or 0) then
    if tonumber(ARGV[10]) ~= number then return { 'place_of', number } end
    place = tonumber(ARGV[11])
  end
end

local expired = expire(c, r, tonumber(ARGV[8]))
if place then
  redis.call('ZADD', PLACES, -number, user)
  vacate(r, place)
  r.waiting, r.left_queue = r.waiting - 1, r.left_queue + 1
elseif redis.call('ZREM', INSIDE, user) == 1 then
  redis.call('HDEL', PASSES, user)
  r.moved = true
end
local admitted = admit(c, r, tonumber(ARGV[7]), 1, 0, {})
leave_room(c, r)
local reply = head('ok', c)
reply[8], reply[9] = admitted, expired
return reply
