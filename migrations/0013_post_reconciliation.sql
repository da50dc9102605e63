-- What looks after posts that were lost on their way, to an inbox, to the search index or to the inspector.

-- How far it is, for whoever takes over: one row.
CREATE TABLE post_reconciliation (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- The last post of the round that was looked at; 0: the round begins.
    after           bigint NOT NULL DEFAULT 0,
    -- When the present round began, and the last one ended.
    began_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at        timestamptz,
    -- What was wrong and is not any more, ever, and what could not be mended in the present round and in the last one.
    mended          bigint NOT NULL DEFAULT 0,
    unmended        bigint NOT NULL DEFAULT 0,
    unmended_before bigint NOT NULL DEFAULT 0
);
INSERT INTO post_reconciliation DEFAULT VALUES;

-- Posts that wait for their inspection: few, however many there are.
CREATE INDEX posts_pending ON posts (post_id) WHERE inspection = 'pending' AND deleted_at IS NULL;
-- Which letters are of this post.
CREATE INDEX dead_letters_by_key ON dead_letters (record_key) WHERE lane IS NOT NULL;
