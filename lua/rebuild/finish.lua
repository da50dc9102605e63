-- finish: let a rebuilt campaign live again, in its next generation.
--
-- KEYS[1]  campaign   hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2]  outbox     stream  facts for the ledger                    onrush:{id}:outbox
-- KEYS[3]  claims     hash    number -> user, time, attempt, state    onrush:{id}:claims
-- KEYS[4]  room       hash    this and all below: see lua/waiting/prelude.lua   onrush:{id}:room
-- KEYS[5]  places     zset    user -> number                          onrush:{id}:places
-- KEYS[6]  inside     zset    user -> deadline                        onrush:{id}:inside
-- KEYS[7]  passes     hash    user -> number, state                   onrush:{id}:passes
-- KEYS[8]  departures bitmap  places left out of turn                 onrush:{id}:departures
-- KEYS[9]  pace       list    admissions of the last window           onrush:{id}:pace
-- KEYS[10] arrivals   zset    ms by number                            onrush:{id}:arrivals
-- KEYS[11] waits      hash    seconds -> users                        onrush:{id}:waits
-- ARGV    the rebuild's token; the names of the server in which it began; the claims that it has loaded; 1: the admission
--         of the waiting room was stopped; the new generation; the highest number that was ever seen; claims given back;
--         numbers that were seen and have no claim; live claims; the sum of all recorded changes of stock;
--         version; stock; limit; user_max; opens_at; closes_at; paused; closed; outbox_max; definition;
--         room
--
-- Reply: {'overtaken'} by another rebuild | {'restarted'}: not all that was loaded is here | {'ok', now, generation,
--   epoch, fact_no, left, outbox_facts before}
-- Numbers go on above the highest that was seen; facts are counted from 1 again, in the new generation. The first of
-- them says by how much the free stock differs from the sum of what is recorded. Places in the waiting room are gone.
-- Safe to repeat: yes. It knows its own token again, and a second call does nothing.
local campaign, outbox, claims, room = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, generation = ARGV[1], ARGV[5]
local before = redis.call('HMGET', campaign, 'lost', 'rebuilt_by', 'generation')
if not before[1] and before[2] == token and before[3] == generation then
  local c = enter(campaign, '', generation, 0)
  return head('ok', c)
end
if before[1] ~= 'rebuild:' .. token then
  local by_another = before[1] and string.sub(before[1], 1, 8) == 'rebuild:' or not before[1] and before[3]
  return { by_another and 'overtaken' or 'restarted' }
end
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') .. ':'
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
if server ~= ARGV[2] or redis.call('HLEN', claims) ~= tonumber(ARGV[3]) then return { 'restarted' } end

local next, given_back, lost_numbers = ARGV[6], ARGV[7], ARGV[8]
local live, recorded, stock = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[12])
local left = math.max(0, stock - live)

redis.call('UNLINK', campaign, outbox, unpack(KEYS, 4, 11))
redis.call('HSET', campaign, 'generation', generation, 'fact_no', 0, 'left', left, 'next', next,
  'given_back', given_back, 'base_next', next, 'base_given_back', given_back, 'lost_numbers', lost_numbers,
  'epoch', 1, 'outbox_facts', 0, 'last_now', 0, 'armed', 1, 'rebuilt_by', token, 'version', ARGV[11], 'stock', stock,
  'limit', ARGV[13], 'user_max', ARGV[14], 'opens_at', ARGV[15], 'closes_at', ARGV[16], 'paused', ARGV[17],
  'closed', ARGV[18], 'outbox_max', ARGV[19], 'definition', ARGV[20], 'room', ARGV[21])
if ARGV[4] == '1' and ARGV[21] ~= '' then redis.call('HSET', room, 'generation', generation, 'stopped', 1) end
local c = enter(campaign, '', generation, 0)
fact(c, 'rebuilt', left - recorded, 0, 0, '', '')
leave(c, outbox)
return head('ok', c)
