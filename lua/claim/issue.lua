-- issue: give each of these users one unit, first come, first served.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] holders   hash    user -> number:attempt:state,...        onrush:{id}:holders
-- KEYS[3] claims    hash    number -> user, time, attempt, state    onrush:{id}:claims
-- KEYS[4] outbox    stream  facts for the ledger                    onrush:{id}:outbox
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows;
--         the letter of the durability that the campaign asks for ('' memory, f fsynced, r replicated);
--         then attempt id, user, alternating
--
-- Reply: {'lost'} | {'unarmed'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts before, then an answer
--   for each request, in order}:
--   number > 0                        issued
--   0 sold_out | -1 not_open_yet | -2 paused | -3 closed | -4 claims_exhausted | -5 outbox_full
--   'r' RS number US claim            replayed: this attempt had its claim already
--   'h' [RS number US claim]...       limit_reached: the claims that the user holds
-- Safe to repeat: yes, by user and attempt id.
local campaign, holders, claims, outbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local NUMBER_MAX = 2147483647 -- what a coupon code has room for

local c = enter(campaign, ARGV[1], ARGV[2], ARGV[3])
if not c then return { LOST } end
if not c.armed then return { UNARMED } end

-- One answer for the whole batch: all of it is decided at one moment.
local gate
if c.closed or (c.closes_at > 0 and c.now >= c.closes_at) then gate = -3
elseif c.paused then gate = -2
elseif c.now < c.opens_at then gate = -1 end

local users = {}
for i = 6, #ARGV, 2 do users[#users + 1] = ARGV[i] end
local found = redis.call('HMGET', holders, unpack(users))
local records, changed = {}, {}
for i, user in ipairs(users) do records[user] = found[i] or '' end

local new_claims, answers = {}, {}
local left_before = c.left

-- A claim of this very batch is not in Redis yet.
local unwritten = {}
local function claim_of(number)
  return unwritten[number] or redis.call('HGET', claims, number)
end

local function decide(user, attempt)
  local record = records[user]
  local live, ever = {}, 0
  if record ~= '' then
    for number, made_by, state in string.gmatch(record, '(%d+):([^:,]+):(%a)') do
      if made_by == attempt then return 'r' .. RS .. number .. US .. claim_of(number) end
      ever = ever + 1
      if state ~= 'g' then live[#live + 1] = number end
    end
  end
  if gate then return gate end
  if #live >= c.limit then
    local held = { 'h' }
    for i, number in ipairs(live) do held[i + 1] = number .. US .. claim_of(number) end
    return table.concat(held, RS)
  end
  if ever >= c.user_max then return -4 end
  if c.left <= 0 then return 0 end
  if c.outbox_facts + #c.facts >= c.outbox_max or c.next >= NUMBER_MAX then return -5 end

  c.left = c.left - 1
  c.next = c.next + 1
  local number = tostring(c.next)
  fact(c, 'claimed', -1, number, c.generation, user, attempt)
  unwritten[number] =
    join_claim({ user = user, at = c.now, attempt = attempt, generation = c.generation, kept = ARGV[4] }, 'l')
  new_claims[#new_claims + 1] = number
  new_claims[#new_claims + 1] = unwritten[number]
  records[user] = (record == '' and '' or record .. ',') .. number .. ':' .. attempt .. ':l'
  changed[user] = true
  return c.next
end

for i = 5, #ARGV, 2 do answers[#answers + 1] = decide(ARGV[i + 1], ARGV[i]) end

local reply = head('ok', c)
if c.left < left_before then
  local new_holders = {}
  for user in pairs(changed) do
    new_holders[#new_holders + 1] = user
    new_holders[#new_holders + 1] = records[user]
  end
  redis.call('HSET', holders, unpack(new_holders))
  redis.call('HSET', claims, unpack(new_claims))
  leave(c, outbox)
end
for i, answer in ipairs(answers) do reply[7 + i] = answer end
return reply
