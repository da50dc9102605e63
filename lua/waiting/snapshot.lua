-- snapshot: all that a node needs to tell visitors where they stand, in one look.
--
-- KEYS[1] campaign   hash    see lua/prelude.lua            onrush:{id}:campaign
-- KEYS[2] room       hash    this and all below: see prelude.lua   onrush:{id}:room
-- KEYS[3] places     zset    user -> number                onrush:{id}:places
-- KEYS[4] inside     zset    user -> deadline              onrush:{id}:inside
-- KEYS[5] passes     hash    user -> number, state         onrush:{id}:passes
-- KEYS[6] departures bitmap  places left out of turn       onrush:{id}:departures
-- KEYS[7] pace       list    admissions of the last window onrush:{id}:pace
-- KEYS[8] arrivals   zset    ms by number                  onrush:{id}:arrivals
-- KEYS[9] waits      hash    seconds -> users              onrush:{id}:waits
-- ARGV    '' or a time in ms (tests only); the generation and the highest fact_no that this node knows;
--         how many departures this node knows of; how many entries of the pace are wanted
--
-- Reply: {'lost'} | {'missing'} | {'no_room'} | {'ok', now, generation, epoch, fact_no, left, outbox_facts, number,
--   admitted_to, waiting, inside, admitted, no_shows, left_queue, stopped, departures, draw_n or -1, drawn_at, in_window, list_hash or '',
--   the pace's oldest entries as ms:count parted by commas, the first place of the departures that follow, and these as
--   bits, or '' if there are none that this node does not know of, the room's life, how long its keys are kept in ms: -1
--   without end, -2 there are none}
-- Safe to repeat: yes, it changes nothing.
local c, refusal = enter(CAMPAIGN, ARGV[1], ARGV[2], ARGV[3])
if not c then return refusal end
if not c.room then return { NO_ROOM } end
local r = enter_room(c)
local reply = head('ok', c)
local first, bits = 0, ''
if r.departures ~= tonumber(ARGV[4]) then
  -- Before who was admitted last, nobody asks.
  first = math.floor(r.admitted_to / 8)
  bits = redis.call('GETRANGE', DEPARTURES, first, -1)
end
local more = {
  r.number, r.admitted_to, r.waiting, redis.call('ZCARD', INSIDE), r.admitted, r.no_shows, r.left_queue,
  r.stopped and 1 or 0, r.departures, r.draw_n or -1, r.drawn_at, r.in_window, r.list_hash or '',
  table.concat(redis.call('LRANGE', PACE, 0, tonumber(ARGV[5]) - 1), ','), first * 8, bits,
  r.life, redis.call('PTTL', ROOM),
}
for i, value in ipairs(more) do reply[7 + i] = value end
return reply
