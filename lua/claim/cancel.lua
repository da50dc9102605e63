-- cancel: see to it that an attempt of a user which has claimed nothing never will.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] holders   hash    user -> number:attempt:state,...        onrush:{id}:holders
-- KEYS[3] claims    hash    number -> user, time, attempt, state    onrush:{id}:claims
-- KEYS[4] outbox    stream  facts for the ledger                    onrush:{id}:outbox
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows; user; attempt
--
-- Reply: {'lost'} | {'missing'} | {'claims_exhausted'} | {'outbox_full'} | {'claimed' | 'ok' | 'unchanged', now,
--   generation, epoch, fact_no, left, outbox_facts before; with `claimed` also number US claim}
-- `claimed`: it has a claim, and nothing was done: that is to be given back. What was cancelled counts as a claim that the
-- user has made. Not when Redis has no memory left: there is no end of users.
-- Safe to repeat: yes, by user and attempt.
local campaign, holders, claims, outbox = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local user, attempt = ARGV[4], ARGV[5]

local c, refusal = enter(campaign, ARGV[1], ARGV[2], ARGV[3])
if not c then return refusal end
local record = redis.call('HGET', holders, user) or ''
local ever = count_cancelled(record)
for number, made_by in string.gmatch(record, '(%d+):([^:,]+):%a') do
  if made_by == attempt then
    local reply = head('claimed', c)
    reply[8] = number .. US .. redis.call('HGET', claims, number)
    return reply
  end
  ever = ever + 1
end
if is_cancelled(record, attempt) then return head('unchanged', c) end
if ever >= c.user_max then return { 'claims_exhausted' } end
if c.outbox_facts >= c.outbox_max then return { OUTBOX_FULL } end

local outbox_before = c.outbox_facts
fact(c, 'cancelled', 0, 0, 0, user, attempt)
redis.call('HSET', holders, user, (record == '' and '' or record .. ',') .. '!' .. attempt)
leave(c, outbox)
local reply = head('ok', c)
reply[7] = outbox_before
return reply
