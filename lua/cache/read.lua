-- read: what is kept of these fields, fresh or not. The reader judges: the reply says what time it is.
--
-- KEYS[1] values  hash    kind:key -> fresh until, made at (13 digits each, ms), payload    onrush:{cache-n}:values
-- ARGV    fields, all of this shard; none: a probe
--
-- Reply: {now, value | nil, ...}, in order
-- Safe to repeat: yes, it changes nothing.
local t = redis.call('TIME')
local reply = { t[1] * 1000 + math.floor(t[2] / 1000) }
if #ARGV > 0 then
  local values = redis.call('HMGET', KEYS[1], unpack(ARGV))
  for i = 1, #ARGV do reply[i + 1] = values[i] end
end
return reply
