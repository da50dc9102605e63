-- Facts of claims that nobody has recorded yet become rows: the history, and the claims. One statement, one transaction.
--
-- $1..$9 arrays, one element a fact, sorted by key; all of kind 'claimed', no key and no claim twice. It fails with a
-- unique violation, and has done nothing, where any fact or claim is recorded already: insert_facts.sql knows what to
-- do then. Without that question a row costs half.
WITH batch AS MATERIALIZED (
    SELECT f.*, 'epoch'::timestamptz + f.at * interval '1 millisecond' AS decided_at
    FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::integer[], $7::text[],
                $8::text[], $9::bigint[])
        WITH ORDINALITY AS f (campaign_id, generation, fact_no, change, number, claim_generation, user_id, attempt, at,
                              place)
), inserted AS (
    INSERT INTO stock_history (campaign_id, generation, fact_no, kind, change, number, claim_generation, user_id,
                               attempt, decided_at)
    SELECT campaign_id, generation, fact_no, 'claimed', change, number, claim_generation, user_id, attempt, decided_at
    FROM batch ORDER BY place
    RETURNING 1
)
INSERT INTO claims (campaign_id, generation, number, user_id, attempt, claimed_at)
SELECT campaign_id, claim_generation, number, user_id, attempt, decided_at
FROM batch
-- All of the history first, as in insert_facts.sql: two writers wait for each other in one direction only.
WHERE (SELECT count(*) FROM inserted) > 0
ORDER BY campaign_id, claim_generation, number
