#!lua flags=allow-oom
-- recall: hold what is known of a campaign against what is here, before anything is decided here.
--
-- KEYS[1] campaign  hash    see prelude.lua    onrush:{id}:campaign
-- ARGV    the generation and its highest fact_no that are known; 1: a rebuild that is under way has to begin again, 0: it
--         goes on
--
-- Reply: {'lost' | 'missing' | 'ok', generation here, fact_no here, version here, 1 if it is armed}, each 0 where nothing is
--   here
-- 'missing': nobody has known of it, and it is not here. What is behind is marked as lost, for everyone.
-- Safe to repeat: yes.
local f = redis.call('HMGET', KEYS[1], 'generation', 'fact_no', 'lost', 'version', 'armed')
local generation, fact_no = tonumber(f[1] or 0), tonumber(f[2] or 0)
local known_generation, known_fact_no = tonumber(ARGV[1]), tonumber(ARGV[2])
local code = 'ok'
if f[3] then
  code = 'lost'
  if ARGV[3] == '1' and string.sub(f[3], 1, 8) == 'rebuild:' then redis.call('HSET', KEYS[1], 'lost', 'behind') end
elseif generation == 0 and known_generation == 0 then
  code = 'missing'
elseif generation < known_generation or (generation == known_generation and fact_no < known_fact_no) then
  redis.call('HSET', KEYS[1], 'lost', 'behind')
  code = 'lost'
end
return { code, generation, fact_no, tonumber(f[4] or 0), tonumber(f[5] or 0) }
