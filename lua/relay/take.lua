#!lua flags=allow-oom
-- take: become, or stay, the one relay of a campaign.
--
-- KEYS[1] lease  string  owner:token, expires    onrush:{id}:relay
-- KEYS[2] fence  string  the last token given    onrush:{id}:fence
-- ARGV    owner; lease in ms
--
-- Reply: the fencing token, greater than every one given before, or 0 if another relay holds the lease.
-- Safe to repeat: yes; the holder keeps its token and its lease starts anew.
-- Also when Redis has no memory left: relaying is what makes room.
local owner, lease_ms = ARGV[1], ARGV[2]
local held = redis.call('GET', KEYS[1])
if held then
  local who, token = string.match(held, '^(.*):(%d+)$')
  if who ~= owner then return 0 end
  redis.call('PEXPIRE', KEYS[1], lease_ms)
  return tonumber(token)
end
local token = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], owner .. ':' .. token, 'PX', lease_ms)
return token
