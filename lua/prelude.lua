-- prelude: what every script of a campaign begins with. Its text is put before the text of each of them.
--
-- The campaign hash   onrush:{id}:campaign
--   generation          lives of the campaign in Redis, from 1; one more each time it was rebuilt
--   version             version of the campaign's row that was put last
--   armed               1 once the database knows that the campaign was put; claims are refused before
--   lost                set once anyone has found less here than was known to exist; only a rebuild removes it
--   stock, left         units on offer; units that nobody holds
--   next                the highest number that was given
--   given_back          claims that were given back
--   base_next, base_given_back   the same two when this generation began; absent in the first
--   lost_numbers        numbers up to `next` that a rebuild found no claim of; live = next - given_back - lost_numbers
--   limit               units that one user may hold
--   user_max            claims that one user may ever make, given back or not
--   opens_at, closes_at milliseconds since 1970; 0 = always open, 0 = never closes
--   paused, closed      0 | 1
--   epoch               one more at each change that may end a refusal
--   fact_no             facts that were written in this generation
--   outbox_facts        facts that wait in the outbox; outbox_max is their limit
--   last_now            the time of the last decision, in ms: time never runs back
--   definition          the campaign as JSON, for the nodes; no script reads it
--   room                the waiting room's settings, see lua/waiting/prelude.lua; '' or absent: it has none
--
-- A claim's record    onrush:{id}:claims    number -> user US claimed_at US attempt US state US generation [US kept]
-- A user's record     onrush:{id}:holders   user -> number:attempt:state,number:attempt:state,...
-- A claim's state is one letter: l live, g given back, r redeemed.
-- What is no claim and never will be: !attempt in the user's record, among the others. That attempt was cancelled.
-- `kept` is the most that may be said of the claim's durability: f fsynced, r replicated; absent: memory. A claim begins
-- with what its campaign asks for, and is weakened when its first answer could say only less. It is never strengthened.
--
-- A redemption        onrush:{id}:redemptions    number -> redeemed at US calls
-- `redeemed at` is '' while the coupon is not used. Calls are those that have used it (r and their id) or undone that (u and
-- their id), oldest first, parted by commas: who repeats one hears what became of it. See claim/redeem.lua.
--
-- An outbox entry     onrush:{id}:outbox    v 1, g generation, at ms, n facts in it, f facts joined by RS
-- A fact              fact_no US kind US change of stock US number US the claim's generation US user US attempt [US reason]
-- One about an attempt that never claims has the number 0.
--
-- US and RS are control characters, which no id may contain. The program reads and writes these forms in src/facts/records.rs.
local US, RS = '\31', '\30'
local UNARMED, OUTBOX_FULL = 'unarmed', 'outbox_full'

-- Reads the campaign. Answers nil and a reply if it is lost: marked so, or missing although the node has seen it, of an older generation
-- than the node knows, or behind the highest fact that the node has seen of it. Whoever notices marks it for everyone.
-- One that is missing and that the node has never seen is not lost: it is being made. The reply says which.
local function enter(key, at, known_generation, known_fact_no)
  local f = redis.call('HMGET', key, 'generation', 'fact_no', 'lost', 'armed', 'stock', 'left', 'next', 'given_back',
    'limit', 'user_max', 'opens_at', 'closes_at', 'paused', 'closed', 'epoch', 'outbox_facts', 'outbox_max', 'last_now',
    'version', 'room')
  local generation, fact_no = tonumber(f[1] or 0), tonumber(f[2] or 0)
  known_generation, known_fact_no = tonumber(known_generation), tonumber(known_fact_no)
  local behind = generation == 0 or generation < known_generation
    or (generation == known_generation and fact_no < known_fact_no)
  if generation == 0 and known_generation == 0 and not f[3] then
    return nil, { 'missing' }
  end
  if f[3] or behind then
    if not f[3] then redis.call('HSET', key, 'lost', 1) end
    return nil, { 'lost' }
  end
  local now = tonumber(at)
  if not now then
    local t = redis.call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return {
    key = key, generation = generation, fact_no = fact_no, armed = f[4] == '1', stock = tonumber(f[5]),
    left = tonumber(f[6]), next = tonumber(f[7]), given_back = tonumber(f[8]), limit = tonumber(f[9]),
    user_max = tonumber(f[10]), opens_at = tonumber(f[11]), closes_at = tonumber(f[12]), paused = f[13] == '1',
    closed = f[14] == '1', epoch = tonumber(f[15]), outbox_facts = tonumber(f[16]), outbox_max = tonumber(f[17]),
    now = math.max(now, tonumber(f[18])), version = tonumber(f[19]),
    room = f[20] and f[20] ~= '' and f[20] or nil, facts = {},
  }
end

-- A whole number as text. What `..` makes of a number goes the long way of fractions.
local function digits(number)
  return string.format('%d', number)
end

-- What facts of one kind about claims of this generation have between their number and the claim's, and between the
-- claim's number and its user.
local function fact_parts(c, kind, change)
  return US .. kind .. US .. change .. US, US .. c.generation .. US
end

-- Notes a fact, to be written by `leave`.
local function fact(c, kind, change, number, claim_generation, user, attempt)
  c.fact_no = c.fact_no + 1
  c.facts[#c.facts + 1] = digits(c.fact_no) .. US .. kind .. US .. change .. US .. number .. US .. claim_generation
    .. US .. user .. US .. attempt
end

-- Writes the noted facts as one outbox entry, and the counters that belong to them.
local function leave(c, outbox)
  local n = #c.facts
  redis.call('XADD', outbox, '*', 'v', 1, 'g', c.generation, 'at', c.now, 'n', n, 'f', table.concat(c.facts, RS))
  redis.call('HSET', c.key, 'fact_no', c.fact_no, 'left', c.left, 'next', c.next, 'given_back', c.given_back,
    'epoch', c.epoch, 'outbox_facts', c.outbox_facts + n, 'last_now', c.now)
end

-- What every reply begins with, after its code.
local function head(code, c)
  return { code, c.now, c.generation, c.epoch, c.fact_no, c.left, c.outbox_facts }
end

local function split_claim(record)
  local user, at, attempt, state, generation, kept =
    string.match(record, '^(.-)' .. US .. '(%d+)' .. US .. '(.-)' .. US .. '(%a)' .. US .. '(%d+)' .. US .. '?(%a?)$')
  return { user = user, at = at, attempt = attempt, state = state, generation = generation, kept = kept }
end

-- What the records of claims that are issued now have between their user and their attempt, and after their attempt.
local function record_parts(c, kept)
  return US .. digits(c.now) .. US, US .. 'l' .. US .. c.generation .. (kept == '' and '' or US .. kept)
end

local function join_claim(claim, state)
  return claim.user .. US .. claim.at .. US .. claim.attempt .. US .. state .. US .. claim.generation
    .. (claim.kept == '' and '' or US .. claim.kept)
end

-- Writes a claim's new state into both of its records.
local function set_state(holders, claims, number, claim, state)
  redis.call('HSET', claims, number, join_claim(claim, state))
  local record = redis.call('HGET', holders, claim.user)
  local _, last = string.find(record, ':' .. claim.attempt .. ':', 1, true)
  redis.call('HSET', holders, claim.user, string.sub(record, 1, last) .. state .. string.sub(record, last + 2))
end

-- Whether this attempt of a user was cancelled, by the user's record.
local function is_cancelled(record, attempt)
  return string.find(record .. ',', '!' .. attempt .. ',', 1, true) ~= nil
end

-- How many attempts of the user were cancelled.
local function count_cancelled(record)
  local _, count = string.gsub(record, '!', '')
  return count
end

-- When a coupon was used, '' if it is not, and the calls that its record remembers.
local function split_redemption(record)
  local at, calls = string.match(record or '', '^(%d*)' .. US .. '(.*)$')
  return at or '', calls or ''
end

local function has_call(calls, call)
  return string.find(',' .. calls .. ',', ',' .. call .. ',', 1, true) ~= nil
end

-- The record with one more call. It remembers the last CALLS_MAX.
local CALLS_MAX = 16
local function join_redemption(at, calls, call)
  local _, commas = string.gsub(calls, ',', '')
  if commas + 2 > CALLS_MAX then calls = string.match(calls, ',(.*)$') end
  return at .. US .. (calls == '' and '' or calls .. ',') .. call
end
