-- finish: let a rebuilt campaign live again, in its next generation.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] outbox    stream  facts for the ledger                    onrush:{id}:outbox
-- ARGV    the rebuild's token; the new generation; the highest number that was ever seen; claims given back; numbers
--         that were seen and have no claim; live claims; the sum of all recorded changes of stock;
--         version; stock; limit; user_max; opens_at; closes_at; paused; closed; outbox_max; definition;
--         room
--
-- Reply: {'overtaken'} by another rebuild | {'ok', now, generation, epoch, fact_no, left, outbox_facts before}
-- Numbers go on above the highest that was seen; facts are counted from 1 again, in the new generation. The first of
-- them says by how much the free stock differs from the sum of what is recorded.
-- Safe to repeat: no second call does anything: the campaign is not lost any more.
local campaign, outbox = KEYS[1], KEYS[2]
if redis.call('HGET', campaign, 'lost') ~= 'rebuild:' .. ARGV[1] then return { 'overtaken' } end
local generation, next, given_back, lost_numbers = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local live, recorded, stock = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[9])
local left = math.max(0, stock - live)

redis.call('UNLINK', campaign, outbox)
redis.call('HSET', campaign, 'generation', generation, 'fact_no', 0, 'left', left, 'next', next,
  'given_back', given_back, 'base_next', next, 'base_given_back', given_back, 'lost_numbers', lost_numbers,
  'epoch', 1, 'outbox_facts', 0, 'last_now', 0, 'armed', 1, 'version', ARGV[8], 'stock', stock, 'limit', ARGV[10],
  'user_max', ARGV[11], 'opens_at', ARGV[12], 'closes_at', ARGV[13], 'paused', ARGV[14], 'closed', ARGV[15],
  'outbox_max', ARGV[16], 'definition', ARGV[17], 'room', ARGV[18])
local c = enter(campaign, '', generation, 0)
fact(c, 'rebuilt', left - recorded, 0, 0, '', '')
leave(c, outbox)
return head('ok', c)
