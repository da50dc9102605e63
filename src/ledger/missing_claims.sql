-- Which 'claimed' facts of campaign $1 (generation 1) are no rows, and which fact numbers can be theirs?
--
-- Numbers and fact numbers of claims ascend together. So between two claims that are rows, all claims that are not have
-- their facts between the two facts. $2: the highest fact, $3: the highest number; $4 claims in a gap and $5 gaps at most.
-- A row a gap: the numbers on its sides, and the fact numbers between them that are no rows.
WITH claimed AS (
    SELECT number, fact_no FROM stock_history WHERE campaign_id = $1 AND generation = 1 AND kind = 'claimed'
    UNION ALL
    SELECT $3 + 1, $2 + 1
), sides AS (
    SELECT lag(number, 1, 0::bigint) OVER by_number AS below, number AS above,
           lag(fact_no, 1, 0::bigint) OVER by_number AS fact_below, fact_no AS fact_above
    FROM claimed WINDOW by_number AS (ORDER BY number)
)
SELECT below, above, ARRAY(
           SELECT f FROM generate_series(fact_below + 1, fact_above - 1) AS f
           WHERE NOT EXISTS (SELECT FROM stock_history h
                             WHERE h.campaign_id = $1 AND h.generation = 1 AND h.fact_no = f)
           ORDER BY f) AS facts
FROM sides WHERE above - below BETWEEN 2 AND $4 + 1
ORDER BY below LIMIT $5
