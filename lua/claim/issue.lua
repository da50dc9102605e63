-- issue: give each of these users one unit, first come, first served.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] holders   hash    user -> number:attempt:state,...        onrush:{id}:holders
-- KEYS[3] claims    hash    number -> user, time, attempt, state    onrush:{id}:claims
-- KEYS[4] outbox    stream  facts for the ledger                    onrush:{id}:outbox
-- KEYS[5] inside    zset    user -> deadline (waiting room)         onrush:{id}:inside
-- KEYS[6] passes    hash    user -> number of the place, state      onrush:{id}:passes
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows;
--         the letter of the durability that the campaign asks for ('' memory, f fsynced, r replicated);
--         the passes that came with the requests: for each the number of its place, 0 for none, with .life where it says
--         of which life of the room it is, parted by commas, or '' if none came with any; then attempt id, user,
--         alternating
--
-- Reply: {'lost'} | {'unarmed'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts before, then an answer
--   for each request, in order}:
--   number > 0                        issued
--   0 sold_out | -1 not_open_yet | -2 paused | -3 closed | -4 claims_exhausted | -5 outbox_full | -6 pass_required
--   'r' RS number US claim            replayed: this attempt had its claim already
--   'h' [RS number US claim]...       limit_reached: the claims that the user holds
-- Where the campaign has a waiting room, a pass ends when its user holds the limit, and all end when no unit is left.
-- Safe to repeat: yes, by user and attempt id.
local campaign, holders, claims, outbox, inside, passes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local NUMBER_MAX = 2147483647 -- what a coupon code has room for
local ARGV = ARGV
local gmatch = string.gmatch

local c = enter(campaign, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.armed then return { UNARMED } end

-- One answer for the whole batch: all of it is decided at one moment.
local gate
if c.closed or (c.closes_at > 0 and c.now >= c.closes_at) then gate = -3
elseif c.paused then gate = -2
elseif c.now < c.opens_at then gate = -1 end

local users = {}
for i = 7, #ARGV, 2 do users[#users + 1] = ARGV[i] end
local found = redis.call('HMGET', holders, unpack(users))

-- Who may claim where there is a waiting room: user -> the number of the place that their pass was given for.
local admitted, shown, ended = {}, {}, {}
if c.room then
  local deadlines, records = redis.call('ZMSCORE', inside, unpack(users)), redis.call('HMGET', passes, unpack(users))
  for i, user in ipairs(users) do
    if deadlines[i] and tonumber(deadlines[i]) > c.now then admitted[user] = string.match(records[i], '^%d+') end
  end
  local life = ARGV[5] ~= '' and redis.call('HGET', campaign, 'room_life')
  for number, of in gmatch(ARGV[5], '(%d+)%.?(%d*)') do
    shown[#shown + 1] = (of == '' or of == life) and number or '0'
  end
end

local function end_pass(user)
  if admitted[user] then ended[#ended + 1], admitted[user] = user, nil end
end

-- A new claim costs five strings and no table of its own: what all of this call have in common is written once.
local middle, ending = record_parts(c, ARGV[4])
local fact_middle, fact_ending = fact_parts(c, 'claimed', -1)
local facts, new_claims, new_holders = {}, {}, {}
local place = {} -- of a user's record in new_holders
local next_before, outbox_room = c.next, c.outbox_max - c.outbox_facts
local left, next, fact_no = c.left, c.next, c.fact_no

-- A claim of this very batch is not in Redis yet.
local function claim_of(number)
  return new_claims[2 * (tonumber(number) - next_before)] or redis.call('HGET', claims, number)
end

-- What a user hears who has claimed before; nil: that is no reason to refuse another. And how many units they hold.
local function judge(record, attempt, user)
  local live, ever = {}, 0
  for number, made_by, state in gmatch(record, '(%d+):([^:,]+):(%a)') do
    if made_by == attempt then return 'r' .. RS .. number .. US .. claim_of(number) end
    ever = ever + 1
    if state ~= 'g' then live[#live + 1] = number end
  end
  if gate then return gate end
  if #live >= c.limit then
    local held = { 'h' }
    for i, number in ipairs(live) do held[i + 1] = number .. US .. claim_of(number) end
    end_pass(user)
    return table.concat(held, RS)
  end
  if ever >= c.user_max then return -4 end
  return nil, #live
end

local function decide(user, attempt, record, pass)
  local at, answer, held = place[user], nil, 0
  if at then record = new_holders[at] end
  if record then
    answer, held = judge(record, attempt, user)
    if answer then return answer end
  elseif gate then
    return gate
  end
  if left <= 0 then return 0 end
  if c.room and (not pass or admitted[user] ~= pass) then return -6 end
  local issued = next - next_before
  if issued >= outbox_room or next >= NUMBER_MAX then return -5 end

  left, next, fact_no, issued = left - 1, next + 1, fact_no + 1, issued + 1
  local number = digits(next)
  facts[issued] = digits(fact_no) .. fact_middle .. number .. fact_ending .. user .. US .. attempt
  new_claims[2 * issued - 1] = number
  new_claims[2 * issued] = user .. middle .. attempt .. ending
  if not at then
    at = #new_holders + 2
    place[user], new_holders[at - 1] = at, user
  end
  new_holders[at] = (record and record .. ',' or '') .. number .. ':' .. attempt .. ':l'
  if held + 1 >= c.limit then end_pass(user) end
  return next
end

local reply = head('ok', c)
for i, user in ipairs(users) do reply[7 + i] = decide(user, ARGV[2 * i + 4], found[i], shown[i]) end
if next > next_before then
  c.left, c.next, c.fact_no, c.facts = left, next, fact_no, facts
  redis.call('HSET', holders, unpack(new_holders))
  redis.call('HSET', claims, unpack(new_claims))
  leave(c, outbox)
  reply[5], reply[6] = fact_no, left
end
if c.room and left <= 0 then
  redis.call('UNLINK', inside, passes)
elseif #ended > 0 then
  redis.call('ZREM', inside, unpack(ended))
  redis.call('HDEL', passes, unpack(ended))
end
return reply
