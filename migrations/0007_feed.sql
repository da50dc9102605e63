-- What there is to read: posts of authors, their way to Kafka, who subscribes to whom, what they received, and what search
-- looks through.

-- Ids ascend with time: milliseconds since 1970, then 21 bits of a counter, so that posts of one millisecond differ. As a
-- text they have 19 digits from 2001 to 2109, so they ascend as text, too.
CREATE SEQUENCE post_counter;
CREATE FUNCTION next_post_id() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint << 21) | (nextval('post_counter') & 2097151)
$$;

CREATE TABLE posts (
    post_id      bigint PRIMARY KEY DEFAULT next_post_id(),
    author_id    text NOT NULL,
    title        text NOT NULL,
    body         text NOT NULL,
    -- One more at each edit and at the deletion: what was found out about an older one is not applied to a newer one.
    revision     integer NOT NULL DEFAULT 1,
    -- By the user-info API and the inspector; null until inspected.
    category     text,
    tags         text[] NOT NULL DEFAULT '{}',
    -- pending | passed | rejected
    inspection   text NOT NULL DEFAULT 'pending' CHECK (inspection IN ('pending', 'passed', 'rejected')),
    -- Why it was rejected.
    reason       text,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- A deleted post is kept as a tombstone, without its text: messages about it may still be under way.
    deleted_at   timestamptz
);
CREATE INDEX posts_passed_by_author ON posts (author_id, post_id DESC)
    WHERE inspection = 'passed' AND deleted_at IS NULL;

-- Posts on their way to Kafka, written by the transaction that changes the post (the transactional outbox).
CREATE TABLE post_outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Ids are given before transactions commit, and those commit in another order: only what is below the oldest transaction
    -- that still runs is complete.
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    post_id     bigint NOT NULL,
    -- The message as it goes to Kafka.
    message     jsonb NOT NULL,
    -- waiting | done | failed (set aside: Kafka refuses it for itself)
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    attempts    integer NOT NULL DEFAULT 0,
    last_error  text,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    tried_at    timestamptz,
    done_at     timestamptz
);
CREATE INDEX post_outbox_waiting ON post_outbox (id) WHERE state = 'waiting';
CREATE INDEX post_outbox_failed ON post_outbox (id) WHERE state = 'failed';
CREATE INDEX post_outbox_done ON post_outbox (done_at) WHERE state = 'done';

-- Who reads whom.
CREATE TABLE subscriptions (
    author_id     text NOT NULL,
    user_id       text NOT NULL,
    subscribed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (author_id, user_id)
);
CREATE INDEX subscriptions_by_user ON subscriptions (user_id, author_id);

-- Authors with very many subscribers: their posts are read by who subscribes, and no longer written to every inbox. It
-- stays so, as what was published meanwhile is in no inbox.
CREATE TABLE read_authors (
    author_id text PRIMARY KEY,
    since     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What was delivered to whom. A post is in an inbox once, however often its message comes.
CREATE TABLE inbox (
    user_id text NOT NULL,
    post_id bigint NOT NULL,
    PRIMARY KEY (user_id, post_id)
);
CREATE INDEX inbox_by_post ON inbox (post_id);

-- What search looks through: passed posts, as our own tokens with their places.
CREATE TABLE post_search (
    post_id   bigint PRIMARY KEY,
    revision  integer NOT NULL,
    document  tsvector NOT NULL
);
CREATE INDEX post_search_document ON post_search USING gin (document) WITH (fastupdate = off);
