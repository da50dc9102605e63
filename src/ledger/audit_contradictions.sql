-- Which facts of campaign $1 contradict what is recorded, in generation $2? Those of earlier ones were settled by a rebuild.
--
-- contradictions   how many
-- sold_twice       units that were promised to somebody else than whom the ledger has: by user and attempt
-- refused          of any generation: facts that are in the history, and that no claim could take, as live claims
SELECT count(*) FILTER (WHERE k.generation = $2) AS contradictions,
       count(DISTINCT (k.fact ->> 'user_id', k.fact ->> 'attempt')) FILTER (
           WHERE k.generation = $2 AND k.fact ->> 'kind' = 'claimed'
             AND NOT EXISTS (SELECT FROM claims c WHERE c.campaign_id = $1 AND c.user_id = k.fact ->> 'user_id'
                                                    AND c.attempt = k.fact ->> 'attempt' AND c.claimed_at IS NOT NULL)
       ) AS sold_twice,
       count(h.fact_no) FILTER (WHERE h.kind = 'claimed') - count(h.fact_no) FILTER (WHERE h.kind = 'given_back') AS refused
FROM contradictions k
LEFT JOIN stock_history h ON h.campaign_id = $1 AND h.generation = k.generation AND h.fact_no = k.fact_no
     AND h.kind = k.fact ->> 'kind' AND h.number = (k.fact ->> 'number')::bigint
     AND h.user_id = k.fact ->> 'user_id' AND h.attempt = k.fact ->> 'attempt'
     AND h.decided_at = 'epoch'::timestamptz + (k.fact ->> 'at')::bigint * interval '1 millisecond'
WHERE k.campaign_id = $1
