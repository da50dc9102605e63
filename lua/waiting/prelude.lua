-- prelude: what every script of a waiting room begins with, after lua/prelude.lua. All of them have the same keys.
--
-- The campaign's field `room`: admit:every_ms:active_max:pass_ttl_ms:claim_pass_within_ms:reserve:order
--   admit, every_ms     the pace: at most so many enter in any window of that length; 0: no pace
--   active_max          users who may be inside at a time; 0: no cap
--   order               f first come, first served; d who joins before the opening is drawn
--
-- The campaign's field `room_life`: lives that its room has had in this generation. A room whose keys have gone begins
-- another one, with numbers from 1 again: what was given out in the life before says nothing in it.
--
-- The room's hash     onrush:{id}:room
--   generation          the campaign's when the room began: in the next one all places are gone
--   life                the room's life, from 1; absent: a node that knew of none began it
--   number              the last number that was given to who joined, from 1
--   admitted_to         the place of the last one who was admitted in turn
--   waiting             users who wait
--   admitted, no_shows, left_queue   users who were admitted; who did not pick their pass up; who left while they waited
--   departures          how often bits were set in the departures
--   in_window           users of the pace's list
--   stopped             1 while an operator has stopped the admission
--   draw_n              numbers that are drawn: set when the list closes
--   list_hash, drawn_at what was published of the draw, and when; nobody is admitted before
--   last_arrival        when the arrivals were last noted, in ms
--
-- A user's number     onrush:{id}:places      negative once they do not wait any more: admitted, or gone
-- Who is inside       onrush:{id}:inside      user -> deadline in ms
-- Their passes        onrush:{id}:passes      user -> number:state, state a admitted, p picked up
-- Departures          onrush:{id}:departures  bit of a place: who had it left it out of turn
-- The pace            onrush:{id}:pace        ms:count of the admissions of the last window, the oldest first
-- Arrivals            onrush:{id}:arrivals    ms by the first number that was given in about that second
-- Waits               onrush:{id}:waits       seconds -> users who waited so long before they were admitted
--
-- A place is the number, unless it was drawn: a draw gives each number up to draw_n another place up to draw_n.
-- Only nodes compute which.
local CAMPAIGN, ROOM, PLACES, INSIDE, PASSES = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local DEPARTURES, PACE, ARRIVALS, WAITS = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local NO_ROOM, DRAWING = 'no_room', 'drawing'

-- The life of a room that has none noted. One that is not there begins the next; so has one that is there while there
-- was a life before, whoever began it. Else it is of a node that knew of no lives, and so are its tickets and passes.
local function life_of(is_there)
  local before = tonumber(redis.call('HGET', CAMPAIGN, 'room_life') or 0)
  return is_there and before == 0 and 0 or before + 1
end

-- Reads the room of a campaign that has one. A room of an earlier generation is cleared away, and so is what is left of
-- one that was not kept.
local function enter_room(c)
  local admit, every_ms, active_max, ttl, within, reserve, order =
    string.match(c.room, '^(%d+):(%d+):(%d+):(%d+):(%d+):(%d+):(%a)$')
  local f = redis.call('HMGET', ROOM, 'generation', 'number', 'admitted_to', 'waiting', 'admitted', 'no_shows',
    'left_queue', 'departures', 'in_window', 'stopped', 'draw_n', 'list_hash', 'drawn_at', 'last_arrival',
    'life')
  if tonumber(f[1] or 0) ~= c.generation then
    redis.call('UNLINK', ROOM, PLACES, INSIDE, PASSES, DEPARTURES, PACE, ARRIVALS, WAITS)
    f = {}
  end
  local function count(i) return tonumber(f[i] or 0) end
  return {
    admit = tonumber(admit), every_ms = tonumber(every_ms), active_max = tonumber(active_max), ttl = tonumber(ttl),
    within = tonumber(within), reserve = tonumber(reserve), is_draw = order == 'd',
    number = count(2), admitted_to = count(3), waiting = count(4), admitted = count(5), no_shows = count(6),
    left_queue = count(7), departures = count(8), in_window = count(9), stopped = f[10] == '1',
    draw_n = tonumber(f[11] or nil), list_hash = f[12] or nil, drawn_at = count(13), last_arrival = count(14),
    life = tonumber(f[15] or life_of(f[1])), moved = false,
  }
end

-- How often visitors have moved up, and once more for the draw: what a node knows is at least as young as a reply if it
-- counts no less.
local function moves(r)
  return r.admitted_to + r.departures + (r.list_hash and 1 or 0)
end

local function is_over(c)
  return c.closed or (c.closes_at > 0 and c.now >= c.closes_at)
end

-- Once its campaign is over, a room is kept for ARGV[6] ms, whoever is last. A campaign that is over may go on: what
-- closes at a time may be given a later one.
local function see_to_the_end(c)
  local over = is_over(c)
  if not over and redis.call('PTTL', ROOM) < 0 then return end
  for _, key in ipairs({ ROOM, PLACES, INSIDE, PASSES, DEPARTURES, PACE, ARRIVALS, WAITS }) do
    if over then redis.call('PEXPIRE', key, ARGV[6], 'NX') else redis.call('PERSIST', key) end
  end
end

-- Writes the room's counters and the time of the decision, and tells all nodes where something moved that visitors see.
-- ARGV[4] and ARGV[5] of whoever calls it are the channel and the text.
local function leave_room(c, r)
  redis.call('HSET', ROOM, 'generation', c.generation, 'number', r.number, 'admitted_to', r.admitted_to,
    'waiting', r.waiting, 'admitted', r.admitted, 'no_shows', r.no_shows, 'left_queue', r.left_queue,
    'departures', r.departures, 'in_window', r.in_window, 'last_arrival', r.last_arrival)
  if r.draw_n then redis.call('HSET', ROOM, 'draw_n', r.draw_n) end
  redis.call('HSET', CAMPAIGN, 'last_now', c.now)
  if r.life > 0 then
    redis.call('HSET', ROOM, 'life', r.life)
    redis.call('HSET', CAMPAIGN, 'room_life', r.life)
  end
  see_to_the_end(c)
  if r.moved then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
end

-- From the opening on, who joins is not drawn any more. Whichever call comes first after it closes the list.
local function close_list(c, r)
  if r.is_draw and not r.draw_n and c.now >= c.opens_at then r.draw_n = r.number end
end

-- Between the closing of the list and the draw, nobody of the list may leave it or join again.
local function is_being_drawn(r, number)
  return r.draw_n and not r.list_hash and number <= r.draw_n
end

-- Lets go whose time is over. Answers how many that were.
local function expire(c, r, count_max)
  local overdue = redis.call('ZRANGEBYSCORE', INSIDE, '-inf', c.now, 'LIMIT', 0, count_max)
  if #overdue == 0 then return 0 end
  for _, record in ipairs(redis.call('HMGET', PASSES, unpack(overdue))) do
    if record and string.sub(record, -1) == 'a' then r.no_shows = r.no_shows + 1 end
  end
  redis.call('ZREM', INSIDE, unpack(overdue))
  redis.call('HDEL', PASSES, unpack(overdue))
  r.moved = true
  return #overdue
end

local function is_inside(c, user)
  local deadline = redis.call('ZSCORE', INSIDE, user)
  return deadline and tonumber(deadline) > c.now
end

-- Lets one go whose time may be over and who was not let go yet.
local function forget(r, user)
  if redis.call('ZREM', INSIDE, user) == 0 then return end
  if string.sub(redis.call('HGET', PASSES, user), -1) == 'a' then r.no_shows = r.no_shows + 1 end
  redis.call('HDEL', PASSES, user)
  r.moved = true
end

-- Forgets the admissions that are not in the window any more: it ends now and is open at its beginning, so that the
-- same moment one window later is free again.
local function slide(c, r)
  while true do
    local oldest = redis.call('LINDEX', PACE, 0)
    if not oldest then
      r.in_window = 0
      return
    end
    local at, count = string.match(oldest, '^(%d+):(%d+)$')
    if tonumber(at) > c.now - r.every_ms then return end
    redis.call('LPOP', PACE)
    r.in_window = r.in_window - count
  end
end

-- How many more may be inside for all but the pace: the cap, and the units.
local function room_inside(c, r)
  if is_over(c) or c.paused or c.now < c.opens_at or c.left <= 0 then return 0 end
  local inside = redis.call('ZCARD', INSIDE)
  local free = c.left + r.reserve - inside
  if r.active_max > 0 then free = math.min(free, r.active_max - inside) end
  return math.max(0, free)
end

-- How many may be admitted now.
local function allowance(c, r, count_max)
  if r.waiting == 0 or r.stopped or (r.is_draw and not r.list_hash) then return 0 end
  local allow = math.min(room_inside(c, r), count_max)
  if r.admit > 0 and allow > 0 then
    slide(c, r)
    allow = math.min(allow, r.admit - r.in_window)
  end
  return math.max(0, allow)
end

-- A wait as it is counted: to the second, above a minute to ten, above an hour to a minute.
local function wait_bucket(ms)
  local s = math.floor(ms / 1000 + 0.5)
  if s >= 3600 then return s - s % 60 elseif s >= 60 then return s - s % 10 end
  return s
end

-- Notes how long these have waited; their numbers ascend, and none was drawn. When they came is known to a second.
local function note_waits(c, numbers)
  local counts = {}
  local came = redis.call('ZREVRANGEBYSCORE', ARRIVALS, numbers[1], '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
  local later = redis.call('ZRANGEBYSCORE', ARRIVALS, '(' .. numbers[1], numbers[#numbers], 'WITHSCORES')
  local at, position = tonumber(came[1] or c.now), 1
  for _, number in ipairs(numbers) do
    while later[position] and tonumber(later[position + 1]) <= number do
      at, position = tonumber(later[position]), position + 2
    end
    local bucket = wait_bucket(math.max(0, c.now - at))
    counts[bucket] = (counts[bucket] or 0) + 1
  end
  for bucket, count in pairs(counts) do redis.call('HINCRBY', WAITS, bucket, count) end
end

-- Lets these users in, with their numbers beside them.
local function let_in(c, r, users, numbers)
  local deadlines, records, gone = {}, {}, {}
  for i, user in ipairs(users) do
    local at = 2 * i
    deadlines[at - 1], deadlines[at] = digits(c.now + r.within), user
    records[at - 1], records[at] = user, digits(numbers[i]) .. ':a'
    gone[at - 1], gone[at] = digits(-numbers[i]), user
  end
  redis.call('ZADD', INSIDE, unpack(deadlines))
  redis.call('HSET', PASSES, unpack(records))
  redis.call('ZADD', PLACES, unpack(gone))
  r.waiting, r.admitted, r.moved = r.waiting - #users, r.admitted + #users, true
end

-- Who is next, at most so many, in the order of their places. Of a draw, the caller says who has the places from `from`
-- to `to`: those places at which somebody may wait, and the number that has each. Nobody comes back to a place that was
-- left, so all others are passed by. Where that does not reach, the last answer says from which place on it is wanted.
local function next_users(r, allow, from, to, drawn)
  local users, numbers, wanted = {}, {}, 0
  if r.draw_n and r.admitted_to < r.draw_n then
    local full = false
    if from <= r.admitted_to + 1 and to > r.admitted_to then
      for i = 1, #drawn, 2 do
        local place, number = tonumber(drawn[i]), tonumber(drawn[i + 1])
        if place > r.admitted_to then
          full = #users >= allow
          if full then break end
          local user = redis.call('ZRANGEBYSCORE', PLACES, number, number)[1]
          r.admitted_to = place
          if user then users[#users + 1], numbers[#numbers + 1] = user, number end
        end
      end
      if not full then r.admitted_to = math.min(to, r.draw_n) end
    end
    if #users < allow and r.admitted_to < r.draw_n then wanted = r.admitted_to + 1 end
  end
  if wanted == 0 and #users < allow then
    local found = redis.call('ZRANGEBYSCORE', PLACES, '(' .. (r.draw_n or 0), '+inf', 'WITHSCORES',
      'LIMIT', 0, allow - #users)
    for i = 1, #found, 2 do
      users[#users + 1], numbers[#numbers + 1] = found[i], tonumber(found[i + 1])
      r.admitted_to = numbers[#numbers]
    end
  end
  return users, numbers, wanted
end

-- Admits whom pace, cap and units allow. Answers how many that were, and from which place on drawn numbers are wanted.
local function admit(c, r, count_max, from, to, drawn)
  local allow = allowance(c, r, count_max)
  if allow == 0 then return 0, 0 end
  local users, numbers, wanted = next_users(r, allow, from, to, drawn)
  if #users == 0 then return 0, wanted end
  let_in(c, r, users, numbers)
  if r.admit > 0 then
    redis.call('RPUSH', PACE, digits(c.now) .. ':' .. #users)
    r.in_window = r.in_window + #users
  end
  local in_turn, was_drawn = {}, 0
  for _, number in ipairs(numbers) do
    if number <= (r.draw_n or 0) then was_drawn = was_drawn + 1 else in_turn[#in_turn + 1] = number end
  end
  if was_drawn > 0 then redis.call('HINCRBY', WAITS, wait_bucket(c.now - c.opens_at), was_drawn) end
  if #in_turn > 0 then note_waits(c, in_turn) end
  return #users, wanted
end

-- The deadline of a user who is inside, who has now picked the pass up.
local function pick_up(c, r, user, number, state, deadline)
  if state == 'p' then return deadline end
  redis.call('ZADD', INSIDE, c.now + r.ttl, user)
  redis.call('HSET', PASSES, user, number .. ':p')
  return c.now + r.ttl
end

-- The number of the place and the deadline of a user who is inside; nil of any other.
local function find_inside(c, r, user)
  local deadline = tonumber(redis.call('ZSCORE', INSIDE, user) or 0)
  if deadline <= c.now then return nil end
  local number, state = string.match(redis.call('HGET', PASSES, user), '^(%d+):(%a)$')
  return tonumber(number), pick_up(c, r, user, number, state, deadline)
end

-- Nobody waits at this place any more: those behind move up. Before a draw there are no places yet; it notes itself who
-- had left.
local function vacate(r, place)
  if r.is_draw and not r.draw_n then return end
  redis.call('SETBIT', DEPARTURES, place, 1)
  r.departures, r.moved = r.departures + 1, true
end
