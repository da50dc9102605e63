-- let_in: an operator lets one user in, beyond the pace, but neither beyond the cap nor the units.
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
--         over; how many overdue passes may be removed in one call; the user; a number and the place that was drawn for it,
--         or 0 and 0
--
-- Reply: {'lost'} | {'no_room'} | {'drawing'}: to be tried again | {'place_of', number}: to be called again with the place
--   that was drawn for it | {'full'} | {'ok' | 'unchanged', now, generation, epoch, fact_no, left, outbox_facts}
-- Who never joined gets a number with it.
-- Safe to repeat: yes; who is inside stays there.
local c = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
close_list(c, r)
local user = ARGV[8]
local number = tonumber(redis.call('ZSCORE', PLACES, user) or 0)
if is_being_drawn(r, math.abs(number)) and number ~= 0 then return { DRAWING } end
local was_drawn = number > 0 and number <= (r.draw_n or 0)
if was_drawn and tonumber(ARGV[9]) ~= number then return { 'place_of', number } end

expire(c, r, tonumber(ARGV[7]))
local code = 'full'
local is_here = is_inside(c, user)
if not is_here then forget(r, user) end
if is_here then
  code = 'unchanged'
elseif room_inside(c, r) > 0 then
  code = 'ok'
  if number > 0 then
    vacate(r, was_drawn and tonumber(ARGV[10]) or number)
  else
    r.number, r.waiting = r.number + 1, r.waiting + 1
    number = r.number
    vacate(r, number)
  end
  let_in(c, r, { user }, { number })
end
leave_room(c, r)
if code == 'full' then return { code } end
return head(code, c)
