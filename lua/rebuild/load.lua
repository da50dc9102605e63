-- load: bring claims and their holders back, a part at a time.
--
-- KEYS[1] campaign     hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] holders      hash    user -> number:attempt:state,...        onrush:{id}:holders
-- KEYS[3] claims       hash    number -> user, time, attempt, state    onrush:{id}:claims
-- KEYS[4] redemptions  hash    number -> redeemed at, calls            onrush:{id}:redemptions
-- ARGV    the rebuild's token; the names of the server in which it began; the part, from 1: the first one replaces what is
--         here; how many claims follow, and how many redemptions; number, record, alternating; number, redemption,
--         alternating; then user, cancelled attempt, alternating
--
-- Reply: {'ok'} | {'overtaken'} by another rebuild | {'restarted'}: another server, or this one anew or emptied, which may lack
--   a part
-- Safe to repeat: yes. Parts come in their order, and one that is here already is not loaded again.
local campaign, holders, claims, redemptions = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local f = redis.call('HMGET', campaign, 'lost', 'loaded', 'generation')
if f[1] ~= 'rebuild:' .. ARGV[1] then
  local by_another = f[1] and string.sub(f[1], 1, 8) == 'rebuild:' or not f[1] and f[3]
  return { by_another and 'overtaken' or 'restarted' }
end
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') .. ':'
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
if server ~= ARGV[2] then return { 'restarted' } end
local part, loaded = tonumber(ARGV[3]), tonumber(f[2] or 0)
if part <= loaded then return { 'ok' } end
if part > loaded + 1 then return { 'restarted' } end

if part == 1 then redis.call('UNLINK', holders, claims, redemptions) end
local first_redemption = 6 + 2 * tonumber(ARGV[4])
local first_cancelled = first_redemption + 2 * tonumber(ARGV[5])

-- What is added to each user's record, in the order of numbers.
local added, users = {}, {}
local function add(user, entry)
  if not added[user] then users[#users + 1] = user end
  added[user] = (added[user] and added[user] .. ',' or '') .. entry
end
for i = 6, first_redemption - 1, 2 do
  local user, attempt, state = string.match(ARGV[i + 1], '^(.-)\31%d+\31(.-)\31(%a)\31')
  add(user, ARGV[i] .. ':' .. attempt .. ':' .. state)
end
for i = first_cancelled, #ARGV, 2 do add(ARGV[i], '!' .. ARGV[i + 1]) end

if #users > 0 then
  local records = {}
  for i, record in ipairs(redis.call('HMGET', holders, unpack(users))) do
    records[2 * i - 1], records[2 * i] = users[i], (record and record .. ',' or '') .. added[users[i]]
  end
  redis.call('HSET', holders, unpack(records))
end
if first_redemption > 6 then redis.call('HSET', claims, unpack(ARGV, 6, first_redemption - 1)) end
if first_cancelled > first_redemption then
  redis.call('HSET', redemptions, unpack(ARGV, first_redemption, first_cancelled - 1))
end
redis.call('HSET', campaign, 'loaded', part)
return { 'ok' }
