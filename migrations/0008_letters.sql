-- Dead letters of any topic, not only of facts.

-- Which lane could not deal with the record: several read one topic, and a replay is for that one alone. Null: the ledger.
ALTER TABLE dead_letters ADD COLUMN lane text;
-- Where a replay sends it. Null: to the topic of facts.
ALTER TABLE dead_letters ADD COLUMN replay_topic text;

-- A lane's letter that is sent back keeps its origin, and is a new letter if it fails again. While it waits it is one, however
-- often its record comes.
DROP INDEX dead_letters_by_origin;
CREATE UNIQUE INDEX dead_letters_by_origin ON dead_letters (topic, partition, record_offset, sha256(record))
    WHERE lane IS NULL;
CREATE UNIQUE INDEX dead_letters_by_lane ON dead_letters (topic, partition, record_offset, lane, sha256(record))
    WHERE lane IS NOT NULL AND state = 'waiting';
