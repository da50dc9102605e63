-- begin: refuse everything of a lost campaign until this rebuild has finished.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- ARGV    the rebuild's token; the highest generation and its highest fact_no that the database knows
--
-- Reply: {'healthy'} if nothing is lost | {'ok', generation here, highest number here, the server's names}, the numbers 0
--   where nothing is left
-- Safe to repeat: yes. Another token takes the rebuild over, and the one before it ends without effect.
local f = redis.call('HMGET', KEYS[1], 'generation', 'fact_no', 'lost', 'next')
local generation, fact_no = tonumber(f[1] or 0), tonumber(f[2] or 0)
local known_generation, known_fact_no = tonumber(ARGV[2]), tonumber(ARGV[3])
local behind = generation == 0 or generation < known_generation
  or (generation == known_generation and fact_no < known_fact_no)
if not f[3] and not behind then return { 'healthy' } end
redis.call('HSET', KEYS[1], 'lost', 'rebuild:' .. ARGV[1])
redis.call('HDEL', KEYS[1], 'loaded')
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') .. ':'
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
return { 'ok', generation, tonumber(f[4] or 0), server }
