#!lua flags=allow-oom
-- delete: remove outbox entries that are in Kafka for good, if this relay still is the one.
--
-- KEYS[1] lease     string  owner:token            onrush:{id}:relay
-- KEYS[2] campaign  hash    see prelude.lua        onrush:{id}:campaign
-- KEYS[3] outbox    stream  facts for the ledger   onrush:{id}:outbox
-- ARGV    owner; token; then entry id, number of facts in it, alternating
--
-- Reply: the number of facts removed, or -1 if the lease is another's now: whoever holds it reads from the head again.
-- Safe to repeat: yes; an entry that is gone counts nothing.
-- Also when Redis has no memory left: this is what makes room.
-- An entry that cannot be read may say wrongly how many facts it has. An empty outbox has none, whatever was counted.
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ':' .. ARGV[2] then return -1 end
local removed = 0
for i = 3, #ARGV, 2 do
  if redis.call('XDEL', KEYS[3], ARGV[i]) == 1 then removed = removed + ARGV[i + 1] end
end
if #ARGV < 3 then return removed end
local counted = tonumber(redis.call('HGET', KEYS[2], 'outbox_facts'))
local left = redis.call('XLEN', KEYS[3]) == 0 and 0 or math.max(0, (counted or 0) - removed)
if counted and counted ~= left then
  redis.call('HSET', KEYS[2], 'outbox_facts', string.format('%d', left))
end
return removed
