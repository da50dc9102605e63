-- give_back: put a claim's unit back into stock. Its number is never used again.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] holders   hash    user -> number:attempt:state,...        onrush:{id}:holders
-- KEYS[3] claims    hash    number -> user, time, attempt, state    onrush:{id}:claims
-- KEYS[4] outbox    stream  facts for the ledger                    onrush:{id}:outbox
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows;
--         number; the claim's generation; the user who must own it, or '' for an operator
--
-- Reply: {'lost'} | {'missing'} | {'not_found'} | {'outbox_full'} | {'already_redeemed' | 'unchanged' | 'ok', now,
--   generation, epoch, fact_no, left, outbox_facts before, the claim's record}
-- Safe to repeat: yes; only the first call changes anything.
-- Also when Redis has no memory left.
local campaign, holders, claims, outbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local number, generation, owner = ARGV[4], ARGV[5], ARGV[6]

local c, refusal = enter(campaign, ARGV[1], ARGV[2], ARGV[3])
if not c then return refusal end
local record = redis.call('HGET', claims, number)
if not record then return { 'not_found' } end
local claim = split_claim(record)
if claim.generation ~= generation or (owner ~= '' and owner ~= claim.user) then return { 'not_found' } end

local code = 'ok'
if claim.state == 'r' then code = 'already_redeemed' elseif claim.state == 'g' then code = 'unchanged' end
if code == 'ok' and c.outbox_facts >= c.outbox_max then return { OUTBOX_FULL } end

local outbox_before = c.outbox_facts
if code == 'ok' then
  c.left = c.left + 1
  c.given_back = c.given_back + 1
  c.epoch = c.epoch + 1
  fact(c, 'given_back', 1, number, claim.generation, claim.user, claim.attempt)
  set_state(holders, claims, number, claim, 'g')
  leave(c, outbox)
  record = redis.call('HGET', claims, number)
end
local reply = head(code, c)
reply[7], reply[8] = outbox_before, record
return reply
