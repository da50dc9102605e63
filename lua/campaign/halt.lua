#!lua flags=allow-oom
-- halt: take no claims of a campaign any more, because the ledger has found a contradiction in its facts.
--
-- KEYS[1] campaign  hash    see prelude.lua    onrush:{id}:campaign
-- ARGV    the generation of the contradiction
--
-- Reply: 1, or 0 where there is nothing to halt: no such campaign here, or it was rebuilt since.
-- Also when Redis has no memory left.
-- Safe to repeat: yes. Every script finds the campaign lost from then on; only a rebuild ends that.
local generation = tonumber(redis.call('HGET', KEYS[1], 'generation') or 0)
if generation == 0 or generation > tonumber(ARGV[1]) then return 0 end
redis.call('HSETNX', KEYS[1], 'lost', 'contradiction')
return 1
