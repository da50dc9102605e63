-- What operators look at and are told of: dead letters, contradictions, audits.

-- A dead letter is now a record of the topic of dead letters, copied here; `topic`, `partition` and `record_offset` go on
-- naming the record that was set aside. Its id is where it stands in the topic of dead letters, "partition-offset".
ALTER TABLE dead_letters ADD COLUMN id text NOT NULL DEFAULT gen_random_uuid()::text;
-- waiting | replayed
ALTER TABLE dead_letters ADD COLUMN state text NOT NULL DEFAULT 'waiting';
ALTER TABLE dead_letters ADD COLUMN attempts integer NOT NULL DEFAULT 1;
-- The order in which operators see them.
ALTER TABLE dead_letters ADD COLUMN position bigint NOT NULL GENERATED ALWAYS AS IDENTITY;
ALTER TABLE dead_letters ADD COLUMN replayed_at timestamptz;
CREATE UNIQUE INDEX dead_letters_by_id ON dead_letters (id);
CREATE UNIQUE INDEX dead_letters_by_position ON dead_letters (position);
CREATE INDEX dead_letters_waiting ON dead_letters (position) WHERE state = 'waiting';
-- A worker that dies at the wrong moment sets a record aside twice: it is one letter. But a topic that was made anew
-- counts its offsets from 0 again, so the content belongs to it.
ALTER TABLE dead_letters DROP CONSTRAINT dead_letters_pkey;
CREATE UNIQUE INDEX dead_letters_by_origin ON dead_letters (topic, partition, record_offset, sha256(record));

-- When Redis was told to take no claims of the campaign any more; null: it has yet to be.
ALTER TABLE contradictions ADD COLUMN halted_at timestamptz;
CREATE INDEX contradictions_to_halt ON contradictions (campaign_id) WHERE halted_at IS NULL;
CREATE INDEX contradictions_by_time ON contradictions (noticed_at);

-- Campaigns that were found broken twice in a row and could not be repaired.
CREATE TABLE broken_audits (
    campaign_id text PRIMARY KEY,
    -- The audit in words.
    finding     text NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp()
);
