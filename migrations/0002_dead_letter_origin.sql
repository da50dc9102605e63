-- What a replay and the auditor need of a record that was set aside.

-- Its key in Kafka: a replay must reach the same partition.
ALTER TABLE dead_letters ADD COLUMN record_key bytea NOT NULL DEFAULT '';
-- The campaign that it names, as far as it can be read.
ALTER TABLE dead_letters ADD COLUMN campaign_id text;
CREATE INDEX dead_letters_by_campaign ON dead_letters (campaign_id);
