-- The campaign's life in Redis. A rebuild raises it here before Redis begins the next one, so that no generation is used
-- twice, whatever is lost in between.
ALTER TABLE campaigns ADD COLUMN generation integer NOT NULL DEFAULT 1;
