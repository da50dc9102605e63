-- Facts become rows: the history, and the halves of the claims that they are about. One statement, one transaction.
--
-- $1..$11 arrays, one element a fact, sorted by key; no key twice, and no claim with two users, attempts or facts of a
-- kind. Whether a coupon is used is what the latest fact says of it, in whatever order they come. Answers a row for each fact that is not simply new:
--   double         recorded before, the same
--   contradiction  another fact of that number is recorded, or another claim of that number; noted, not applied
--   unseen         recorded by another writer since this statement began: ask again
WITH batch AS MATERIALIZED (
    SELECT f.*, 'epoch'::timestamptz + f.at * interval '1 millisecond' AS decided_at
    FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], $7::integer[],
                $8::text[], $9::text[], $10::bigint[], $11::text[])
        WITH ORDINALITY AS f (campaign_id, generation, fact_no, kind, change, number, claim_generation, user_id,
                              attempt, at, reason, place)
), inserted AS (
    INSERT INTO stock_history (campaign_id, generation, fact_no, kind, change, number, claim_generation, user_id,
                               attempt, decided_at, reason)
    SELECT campaign_id, generation, fact_no, kind, change, number, claim_generation, user_id, attempt, decided_at,
           reason
    FROM batch ORDER BY place
    ON CONFLICT DO NOTHING
    RETURNING campaign_id, generation, fact_no
), halves AS (
    SELECT b.campaign_id, b.claim_generation AS generation, b.number, min(b.user_id) AS user_id,
           min(b.attempt) AS attempt,
           min(b.decided_at) FILTER (WHERE b.kind = 'claimed') AS claimed_at,
           min(b.decided_at) FILTER (WHERE b.kind = 'given_back') AS given_back_at,
           min(b.decided_at) FILTER (WHERE b.kind = 'redeemed') AS used_at,
           min(b.generation) FILTER (WHERE b.kind = 'redeemed') AS used_generation,
           min(b.fact_no) FILTER (WHERE b.kind = 'redeemed') AS used_fact_no,
           min(b.generation) FILTER (WHERE b.kind = 'unredeemed') AS undone_generation,
           min(b.fact_no) FILTER (WHERE b.kind = 'unredeemed') AS undone_fact_no
    FROM batch b JOIN inserted USING (campaign_id, generation, fact_no)
    WHERE b.number IS NOT NULL
    GROUP BY 1, 2, 3
), judged AS (
    SELECT *, undone_fact_no IS NULL OR (used_generation, used_fact_no) > (undone_generation, undone_fact_no) AS is_used
    FROM halves
), applied AS (
    INSERT INTO claims AS c (campaign_id, generation, number, user_id, attempt, claimed_at, given_back_at, redeemed_at,
                             redemption_generation, redemption_fact_no)
    SELECT campaign_id, generation, number, user_id, attempt, claimed_at, given_back_at,
           CASE WHEN is_used THEN used_at END,
           CASE WHEN is_used THEN used_generation ELSE undone_generation END,
           CASE WHEN is_used THEN used_fact_no ELSE undone_fact_no END
    FROM judged ORDER BY 1, 2, 3
    ON CONFLICT (campaign_id, generation, number) DO UPDATE
    SET claimed_at = COALESCE(c.claimed_at, EXCLUDED.claimed_at),
        given_back_at = COALESCE(c.given_back_at, EXCLUDED.given_back_at),
        redeemed_at = CASE WHEN (EXCLUDED.redemption_generation, EXCLUDED.redemption_fact_no)
                                > (coalesce(c.redemption_generation, 0), coalesce(c.redemption_fact_no, 0))
            THEN EXCLUDED.redeemed_at ELSE c.redeemed_at END,
        redemption_generation = CASE WHEN (EXCLUDED.redemption_generation, EXCLUDED.redemption_fact_no)
                                > (coalesce(c.redemption_generation, 0), coalesce(c.redemption_fact_no, 0))
            THEN EXCLUDED.redemption_generation ELSE c.redemption_generation END,
        redemption_fact_no = CASE WHEN (EXCLUDED.redemption_generation, EXCLUDED.redemption_fact_no)
                                > (coalesce(c.redemption_generation, 0), coalesce(c.redemption_fact_no, 0))
            THEN EXCLUDED.redemption_fact_no ELSE c.redemption_fact_no END
    -- Only new facts come here: a half that is set was set by another fact.
    WHERE c.user_id = EXCLUDED.user_id AND c.attempt = EXCLUDED.attempt
      AND (c.claimed_at IS NULL OR EXCLUDED.claimed_at IS NULL)
      AND (c.given_back_at IS NULL OR EXCLUDED.given_back_at IS NULL)
    RETURNING c.campaign_id, c.generation, c.number
), not_new AS MATERIALIZED (
    SELECT b.* FROM batch b
    WHERE NOT EXISTS (SELECT FROM inserted n WHERE n.campaign_id = b.campaign_id AND n.generation = b.generation
                                               AND n.fact_no = b.fact_no)
), refused AS MATERIALIZED (
    SELECT b.* FROM batch b JOIN inserted USING (campaign_id, generation, fact_no)
    WHERE b.number IS NOT NULL
      -- Not NOT EXISTS: of arrays there are no statistics, and a join of these two is taken for one of a row or two,
      -- and made row by row. A list is hashed, whatever its length.
      AND (b.campaign_id, b.claim_generation, b.number) NOT IN (SELECT campaign_id, generation, number FROM applied)
), verdicts AS (
    SELECT b.*, CASE
            WHEN h.fact_no IS NULL THEN 'unseen'
            WHEN (h.kind, h.change, h.number, h.claim_generation, h.user_id, h.attempt, h.decided_at, h.reason)
                IS NOT DISTINCT FROM
                 (b.kind, b.change, b.number, b.claim_generation, b.user_id, b.attempt, b.decided_at, b.reason) THEN 'double'
            ELSE 'contradiction' END AS verdict
    FROM not_new b LEFT JOIN stock_history h USING (campaign_id, generation, fact_no)
    UNION ALL
    SELECT b.*, 'contradiction' FROM refused b
), noted AS (
    INSERT INTO contradictions (campaign_id, generation, fact_no, fact)
    SELECT campaign_id, generation, fact_no, to_jsonb(v) - 'place' - 'decided_at' - 'verdict'
    FROM verdicts v WHERE verdict = 'contradiction'
    ON CONFLICT DO NOTHING
)
SELECT place, verdict FROM verdicts
