-- delete: remove outbox entries that Kafka has acknowledged, if this relay still is the one.
--
-- KEYS[1] lease     string  owner:token            onrush:{id}:relay
-- KEYS[2] campaign  hash    see prelude.lua        onrush:{id}:campaign
-- KEYS[3] outbox    stream  facts for the ledger   onrush:{id}:outbox
-- ARGV    owner; token; then entry id, number of facts in it, alternating
--
-- Reply: the number of facts removed, or -1 if the lease is another's now: whoever holds it reads from the head again.
-- Safe to repeat: yes; an entry that is gone counts nothing.
if redis.call('GET', KEYS[1]) ~= ARGV[1] .. ':' .. ARGV[2] then return -1 end
local removed = 0
for i = 3, #ARGV, 2 do
  if redis.call('XDEL', KEYS[3], ARGV[i]) == 1 then removed = removed + ARGV[i + 1] end
end
if removed > 0 then redis.call('HINCRBY', KEYS[2], 'outbox_facts', -removed) end
return removed
