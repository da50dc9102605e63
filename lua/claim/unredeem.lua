-- unredeem: undo the use of a claim's coupon. The claim is live again; the history keeps both.
--
-- KEYS[1] campaign     hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] holders      hash    user -> number:attempt:state,...        onrush:{id}:holders
-- KEYS[3] claims       hash    number -> user, time, attempt, state    onrush:{id}:claims
-- KEYS[4] outbox       stream  facts for the ledger                    onrush:{id}:outbox
-- KEYS[5] redemptions  hash    number -> redeemed at, calls            onrush:{id}:redemptions
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows;
--         number; the claim's generation; the call's id: the hash of its Idempotency-Key, or random; the reason
--
-- Reply: {'lost'} | {'missing'} | {'not_found'} | {'outbox_full'} | {'given_back' | 'unchanged' | 'ok', now, generation,
--   epoch, fact_no, left, outbox_facts before, the claim's record, redeemed at or ''}
-- Safe to repeat: yes, by the call's id: a late repetition does not undo a redemption that came after the first.
-- Also when Redis has no memory left.
local campaign, holders, claims, outbox, redemptions = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local number, generation, call, reason = ARGV[4], ARGV[5], 'u' .. ARGV[6], ARGV[7]

local c, refusal = enter(campaign, ARGV[1], ARGV[2], ARGV[3])
if not c then return refusal end
local record = redis.call('HGET', claims, number)
if not record then return { 'not_found' } end
local claim = split_claim(record)
if claim.generation ~= generation then return { 'not_found' } end
local at, calls = split_redemption(redis.call('HGET', redemptions, number))

local code = 'ok'
if claim.state == 'g' then code = 'given_back'
elseif claim.state ~= 'r' or has_call(calls, call) then code = 'unchanged' end
if code == 'ok' and c.outbox_facts >= c.outbox_max then return { OUTBOX_FULL } end

local outbox_before = c.outbox_facts
if code == 'ok' then
  at = ''
  fact(c, 'unredeemed', 0, number, claim.generation, claim.user, claim.attempt .. US .. reason)
  set_state(holders, claims, number, claim, 'l')
  redis.call('HSET', redemptions, number, join_redemption(at, calls, call))
  leave(c, outbox)
  record = redis.call('HGET', claims, number)
end
local reply = head(code, c)
reply[7], reply[8], reply[9] = outbox_before, record, at
return reply
