-- Fills a schema that `onrush migrate` has made, to measure rebuilds and audits: BIG has 4 million claims, small-1 to
-- small-1000 have 20 each, and Redis has none of them. With a schema, a key prefix, a topic and a group of its own:
--
--     export ONRUSH__POSTGRES__SCHEMA=big ONRUSH__REDIS__KEY_PREFIX=big: ONRUSH__KAFKA__FACTS_TOPIC=big.facts
--     export ONRUSH__KAFKA__LEDGER_GROUP=big
--     onrush migrate && psql -v schema=big -f loadtest/rebuild.sql && time onrush rebuild --all && time onrush audit BIG
SET search_path = :schema; SET synchronous_commit = off;
INSERT INTO campaigns (id, first_content, name, stock, per_user_limit, durability, listed, ever_put)
 SELECT id, jsonb_build_object('id', id, 'name','x','stock',5000000,'per_user_limit',1,'opens_at',null,'closes_at',null,'durability','memory','listed',true), 'x', 5000000, 1, 'memory', true, true FROM (SELECT 'BIG' AS id UNION ALL SELECT 'small-' || n FROM generate_series(1,1000) n) x;
INSERT INTO stock_history (campaign_id, generation, fact_no, kind, change, decided_at) SELECT id, 1, 1, 'created', 5000000, now() FROM campaigns;
INSERT INTO stock_history (campaign_id, generation, fact_no, kind, change, number, claim_generation, user_id, attempt, decided_at) SELECT 'small-'||c, 1, n+1, 'claimed', -1, n, 1, 'user-'||n, 'attempt-'||n, now() FROM generate_series(1,1000) c, generate_series(1,20) n;
INSERT INTO claims (campaign_id, generation, number, user_id, attempt, claimed_at) SELECT 'small-'||c, 1, n, 'user-'||n, 'attempt-'||n, now() FROM generate_series(1,1000) c, generate_series(1,20) n;
INSERT INTO stock_history (campaign_id, generation, fact_no, kind, change, number, claim_generation, user_id, attempt, decided_at) SELECT 'BIG', 1, n+1, 'claimed', -1, n, 1, 'user-'||n, 'attempt-'||n, now() FROM generate_series(1,4000000) n;
INSERT INTO claims (campaign_id, generation, number, user_id, attempt, claimed_at) SELECT 'BIG', 1, n, 'user-'||n, 'attempt-'||n, now() FROM generate_series(1,4000000) n;
ANALYZE claims; ANALYZE stock_history;
