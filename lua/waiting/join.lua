-- join: give each of these users a place, in the order in which they came, and admit who may enter at once.
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
--         over; how many may be admitted, and how many overdue passes removed, in one call; how many places there may be;
--         then the users
--
-- Reply: {'lost'} | {'missing'} | {'no_room'} | {'closed'} | {'not_open_yet', now, ...} | {'ok', now, generation, epoch,
--   fact_no, left, outbox_facts, admitted by this call, passes that ended, the room's life, its moves, then three numbers for each user,
--   in order}:
--   1 number ahead      waits; ahead -1: had this place before
--   2 number deadline   is inside, and has picked the pass up with this
--   3 0 0               of a list that is being drawn, and left it: to be tried again
--   4 0 0               no place is left
-- Who waits keeps the place; who is not inside any more gets a new one, at the end. Before a draw there is no end: who
-- left the list comes back with the number they had, so that nobody makes the draw longer by coming and going.
-- Safe to repeat: yes, by user.
local c, refusal = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return refusal end
if not c.room then return { NO_ROOM } end
if is_over(c) then return { 'closed' } end
local r = enter_room(c)
if c.now < c.opens_at and not r.is_draw then return head('not_open_yet', c) end
close_list(c, r)

local users, numbers, ahead = {}, {}, {}
for i = 10, #ARGV do users[#users + 1] = ARGV[i] end
local found = redis.call('ZMSCORE', PLACES, unpack(users))
local expired = expire(c, r, tonumber(ARGV[8]))
local places = redis.call('ZCARD', PLACES)
local given, place_of, refused = {}, {}, {}
local waiting_before, first_new = r.waiting, nil

for i, user in ipairs(users) do
  local number = place_of[user] or tonumber(found[i] or 0)
  if number > 0 then
    numbers[i], ahead[i] = number, -1
  elseif number < 0 and is_being_drawn(r, -number) then
    refused[i] = 3
  elseif number < 0 and is_inside(c, user) then
    numbers[i] = number
  elseif number == 0 and places >= tonumber(ARGV[9]) then
    refused[i] = 4
  else
    if number == 0 then places = places + 1 else forget(r, user) end
    if number < 0 and r.is_draw and not r.draw_n then
      number = -number
    else
      r.number = r.number + 1
      number = r.number
      first_new = first_new or number
    end
    r.waiting = r.waiting + 1
    numbers[i], ahead[i], place_of[user] = number, r.waiting - 1, number
    given[#given + 1], given[#given + 2] = digits(number), user
  end
end

if #given > 0 then
  redis.call('ZADD', PLACES, unpack(given))
  if first_new and c.now - r.last_arrival >= 1000 then
    redis.call('ZADD', ARRIVALS, digits(first_new), digits(c.now))
    r.last_arrival = c.now
  end
  if waiting_before == 0 then r.moved = true end
end
local admitted = admit(c, r, tonumber(ARGV[7]), 1, 0, {})

local reply = head('ok', c)
reply[8], reply[9], reply[10], reply[11] = admitted, expired, r.life, moves(r)
for i, user in ipairs(users) do
  local code, value, deadline = refused[i] or 1, 0, nil
  if not refused[i] then
    local number
    number, deadline = find_inside(c, r, user)
    if deadline then
      code, numbers[i], value = 2, number, deadline
    else
      value = ahead[i] >= 0 and math.max(0, ahead[i] - admitted) or -1
    end
  end
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = code, numbers[i] or 0, value
end
leave_room(c, r)
return reply
