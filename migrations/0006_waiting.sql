-- How a campaign's waiting room admits, as the API has it; null: it has none. Who waits is known to Redis alone.
ALTER TABLE campaigns ADD COLUMN waiting jsonb;
-- What the order of a draw comes from, in hexadecimal: a secret until the draw, and its hash is public from the start.
ALTER TABLE campaigns ADD COLUMN draw_seed text;
