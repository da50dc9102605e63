-- put: bring a campaign's row into Redis, if it is newer than what is here.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] outbox    stream  facts for the ledger                    onrush:{id}:outbox
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows;
--         whether the database says that the campaign was put before (0 | 1);
--         version; stock; limit; user_max; opens_at; closes_at; paused; closed; outbox_max; definition; room
--
-- Reply: {'lost'} | {'missing'} | {'outbox_full'} | {'stock_cannot_shrink', stock here} | {'created' | 'ok' | 'unchanged',
--   now, generation, epoch, fact_no, left, outbox_facts before}
-- A campaign that was put before, or that this node has seen here, and is not here was lost, not forgotten: it is never
-- created again. A new one is created unarmed; the call that says `put before` arms it. So there is no moment at which a
-- claim was issued and the database does not know that the campaign has lived.
-- Safe to repeat: yes, by version.
local campaign, outbox = KEYS[1], KEYS[2]
local put_before, version, stock = ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6])

local function write(armed)
  redis.call('HSET', campaign, 'version', version, 'stock', stock, 'limit', ARGV[7], 'user_max', ARGV[8],
    'opens_at', ARGV[9], 'closes_at', ARGV[10], 'paused', ARGV[11], 'closed', ARGV[12], 'outbox_max', ARGV[13],
    'definition', ARGV[14], 'room', ARGV[15], 'armed', armed)
end

if not put_before and tonumber(ARGV[2]) == 0 and redis.call('EXISTS', campaign) == 0 then
  redis.call('HSET', campaign, 'generation', 1, 'fact_no', 0, 'left', 0, 'next', 0, 'given_back', 0, 'epoch', 1,
    'outbox_facts', 0, 'last_now', 0, 'stock', 0)
  write(0)
  local c = enter(campaign, ARGV[1], 0, 0)
  c.left = stock
  fact(c, 'created', stock, 0, 0, '', '')
  leave(c, outbox)
  return head('created', c)
end

-- What was put before was here, whether this node has seen it or not.
local known_generation = math.max(tonumber(ARGV[2]), put_before and 1 or 0)
local c, refusal = enter(campaign, ARGV[1], known_generation, ARGV[3])
if not c then return refusal end
local armed = (c.armed or put_before) and 1 or 0
if version <= c.version then
  if armed == 1 and not c.armed then redis.call('HSET', campaign, 'armed', 1) end
  return head('unchanged', c)
end

local change = stock - c.stock
if change < 0 and (c.now >= c.opens_at or c.left + change < 0) then return { 'stock_cannot_shrink', c.stock } end
if change ~= 0 and c.outbox_facts >= c.outbox_max then return { OUTBOX_FULL } end

local outbox_before = c.outbox_facts
c.epoch = c.epoch + 1
write(armed)
redis.call('HSET', campaign, 'epoch', c.epoch)
if change ~= 0 then
  c.left = c.left + change
  fact(c, change > 0 and 'stock_raised' or 'stock_lowered', change, 0, 0, '', '')
  leave(c, outbox)
end
local reply = head('ok', c)
reply[7] = outbox_before
return reply
