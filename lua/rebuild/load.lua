-- load: bring claims and their holders back, a part at a time.
--
-- KEYS[1] campaign  hash    see prelude.lua                         onrush:{id}:campaign
-- KEYS[2] holders   hash    user -> number:attempt:state,...        onrush:{id}:holders
-- KEYS[3] claims    hash    number -> user, time, attempt, state    onrush:{id}:claims
-- ARGV    the rebuild's token; 1 for the first part, which replaces what is here; how many values of claims follow;
--         number, record, alternating; then user, record, alternating
--
-- Reply: {'ok'} | {'overtaken'} by another rebuild
-- Safe to repeat: yes.
if redis.call('HGET', KEYS[1], 'lost') ~= 'rebuild:' .. ARGV[1] then return { 'overtaken' } end
if ARGV[2] == '1' then redis.call('UNLINK', KEYS[2], KEYS[3]) end
local claims = tonumber(ARGV[3])
if claims > 0 then redis.call('HSET', KEYS[3], unpack(ARGV, 4, 3 + claims)) end
if #ARGV > 3 + claims then redis.call('HSET', KEYS[2], unpack(ARGV, 4 + claims)) end
return { 'ok' }
