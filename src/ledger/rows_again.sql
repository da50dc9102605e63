-- Rows of claims of campaign $1 that lack what the history says of them, from its part in generation $2, facts from $3 to
-- below $4. A claim that the history gives to two, or a row of somebody else, is left alone.
WITH said AS (
    SELECT claim_generation, number, min(user_id) AS user_id, min(attempt) AS attempt,
           min(decided_at) FILTER (WHERE kind = 'claimed') AS claimed_at,
           min(decided_at) FILTER (WHERE kind = 'given_back') AS given_back_at,
           (array_agg(CASE WHEN kind = 'redeemed' THEN decided_at END ORDER BY fact_no DESC)
               FILTER (WHERE kind IN ('redeemed', 'unredeemed')))[1] AS redeemed_at
    FROM stock_history
    WHERE campaign_id = $1 AND generation = $2 AND fact_no >= $3 AND fact_no < $4 AND number > 0
    GROUP BY claim_generation, number
    HAVING min(user_id) = max(user_id) AND min(attempt) = max(attempt)
), lacking AS (
    SELECT said.* FROM said
    LEFT JOIN claims c ON c.campaign_id = $1 AND c.generation = said.claim_generation AND c.number = said.number
    WHERE c.number IS NULL
       OR (c.user_id = said.user_id AND c.attempt = said.attempt
           AND ((c.claimed_at IS NULL AND said.claimed_at IS NOT NULL)
                OR (c.given_back_at IS NULL AND said.given_back_at IS NOT NULL)))
    LIMIT 1000
)
INSERT INTO claims AS c (campaign_id, generation, number, user_id, attempt, claimed_at, given_back_at, redeemed_at)
SELECT $1, claim_generation, number, user_id, attempt, claimed_at, given_back_at, redeemed_at FROM lacking
ORDER BY claim_generation, number
ON CONFLICT (campaign_id, generation, number) DO UPDATE
SET claimed_at = coalesce(c.claimed_at, EXCLUDED.claimed_at),
    given_back_at = coalesce(c.given_back_at, EXCLUDED.given_back_at)
WHERE c.user_id = EXCLUDED.user_id AND c.attempt = EXCLUDED.attempt
