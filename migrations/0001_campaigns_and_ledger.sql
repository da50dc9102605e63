-- What is on offer, and what happened to it. Times are by Redis' clock unless a comment says otherwise.

-- A campaign's row is its definition; Redis holds its stock and decides. A change raises `version`, and Redis takes
-- over a row only if its version is higher than what it has.
CREATE TABLE campaigns (
    id                text PRIMARY KEY,
    -- Coupon codes carry this instead of the id: 20 bits.
    serial            integer NOT NULL GENERATED ALWAYS AS IDENTITY (MAXVALUE 1048575) UNIQUE,
    version           bigint NOT NULL DEFAULT 1,
    -- What the first POST said, with its defaults: the same content again is no conflict, whatever was patched since.
    first_content     jsonb NOT NULL,
    name              text NOT NULL,
    stock             bigint NOT NULL CHECK (stock > 0),
    per_user_limit    integer NOT NULL CHECK (per_user_limit > 0),
    opens_at_ms       bigint,
    closes_at_ms      bigint,
    durability        text NOT NULL,
    listed            boolean NOT NULL,
    paused            boolean NOT NULL DEFAULT false,
    closed            boolean NOT NULL DEFAULT false,
    created_at        timestamptz NOT NULL DEFAULT now(),
    -- Set before the campaign is armed in Redis. A campaign that was put and is missing there was lost.
    ever_put          boolean NOT NULL DEFAULT false,
    -- The version that Redis has at least. Rows behind their version are put again.
    published_version bigint NOT NULL DEFAULT 0
);
CREATE INDEX campaigns_to_publish ON campaigns (id) WHERE published_version < version;

-- One row a claim, whatever became of it. Facts come late, twice and in any order: a give-back that comes first leaves
-- a row without `claimed_at`. No foreign key: the insert path looks nothing up.
CREATE TABLE claims (
    campaign_id   text NOT NULL,
    -- The campaign's generation when the claim was given.
    generation    integer NOT NULL,
    number        bigint NOT NULL,
    user_id       text NOT NULL,
    attempt       text NOT NULL,
    claimed_at    timestamptz,
    given_back_at timestamptz,
    redeemed_at   timestamptz,
    PRIMARY KEY (campaign_id, generation, number)
);
CREATE INDEX claims_by_user ON claims (campaign_id, user_id);

-- Every fact, for good: each change of stock as PLUS and MINUS. The sum of `change` is what is left.
CREATE TABLE stock_history (
    campaign_id      text NOT NULL,
    generation       integer NOT NULL,
    fact_no          bigint NOT NULL,
    kind             text NOT NULL,
    change           bigint NOT NULL,
    -- The claim that the fact is about; null for changes of stock.
    number           bigint,
    claim_generation integer,
    user_id          text,
    attempt          text,
    decided_at       timestamptz NOT NULL,
    -- By the database's clock.
    recorded_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (campaign_id, generation, fact_no)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;
CREATE TRIGGER stock_history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Facts that say something else than the fact of the same number that is recorded. Never ignored, never applied.
CREATE TABLE contradictions (
    campaign_id text NOT NULL,
    generation  integer NOT NULL,
    fact_no     bigint NOT NULL,
    fact        jsonb NOT NULL,
    noticed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (campaign_id, generation, fact_no, fact)
);

-- Records that could not become rows, set aside for an operator, named by where they stand in Kafka.
CREATE TABLE dead_letters (
    topic          text NOT NULL,
    partition      integer NOT NULL,
    record_offset  bigint NOT NULL,
    reason         text NOT NULL,
    record         bytea NOT NULL,
    noticed_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (topic, partition, record_offset)
);

-- Settings that operators change while everything runs.
CREATE TABLE settings (
    name  text PRIMARY KEY,
    value bigint NOT NULL
);
