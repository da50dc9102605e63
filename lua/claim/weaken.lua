-- weaken: note that these claims were answered with less durability than their campaign asks for.
--
-- KEYS[1] claims    hash    number -> user, time, attempt, state    onrush:{id}:claims
-- ARGV    the claims' generation; the letter of what was answered ('' memory, f fsynced); numbers
--
-- Reply: the claims that it changed.
-- Safe to repeat: yes; no claim ever becomes more durable.
local changed = 0
for i = 3, #ARGV do
  local record = redis.call('HGET', KEYS[1], ARGV[i])
  local claim = record and split_claim(record)
  local stronger = claim and (claim.kept == 'r' or (claim.kept == 'f' and ARGV[2] == ''))
  if stronger and claim.kept ~= ARGV[2] and claim.generation == ARGV[1] then
    claim.kept = ARGV[2]
    redis.call('HSET', KEYS[1], ARGV[i], join_claim(claim, claim.state))
    changed = changed + 1
  end
end
return changed
