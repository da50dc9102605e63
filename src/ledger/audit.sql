-- What the database knows of campaign $1 in generation $2, as far as fact $3 and number $4; $5 to $6 is what the outbox
-- holds. One snapshot.
WITH history AS (
    SELECT count(*) FILTER (WHERE mine) AS facts,
           count(*) FILTER (WHERE mine AND in_outbox) AS in_outbox,
           count(*) FILTER (WHERE mine AND kind = 'claimed') AS claimed,
           count(*) FILTER (WHERE mine AND kind = 'claimed' AND in_outbox) AS claimed_in_outbox,
           count(*) FILTER (WHERE mine AND kind = 'given_back') AS given_back,
           count(*) FILTER (WHERE mine AND kind = 'given_back' AND in_outbox) AS given_back_in_outbox,
           -- What earlier generations changed is part of the sum: a rebuild says by how much it had to be corrected.
           coalesce(sum(change) FILTER (WHERE mine OR generation < $2), 0)::bigint AS change,
           -- Claims that were live at fact $3 and are given back since.
           count(*) FILTER (WHERE generation = $2 AND NOT mine AND kind = 'given_back' AND number <= $4) AS given_back_since,
           count(*) FILTER (WHERE kind = 'claimed') - count(*) FILTER (WHERE kind = 'given_back') AS live_by_history,
           count(*) AS facts_ever,
           coalesce(max(generation), 0) AS generation,
           coalesce(max(fact_no) FILTER (WHERE generation = $2), 0) AS highest
    FROM (SELECT *, generation = $2 AND fact_no <= $3 AS mine, fact_no BETWEEN $5 AND $6 AS in_outbox
          FROM stock_history WHERE campaign_id = $1) h
), now_rows AS (
    SELECT count(*) FILTER (WHERE number <= $4) AS numbers,
           count(*) FILTER (WHERE number <= $4 AND live) AS live,
           count(*) FILTER (WHERE live) AS live_ever,
           -- Give-backs whose claim has not come yet count against the history's difference.
           count(*) FILTER (WHERE live) - count(*) FILTER (WHERE claimed_at IS NULL AND given_back_at IS NOT NULL)
               AS live_by_claims
    FROM (SELECT *, claimed_at IS NOT NULL AND given_back_at IS NULL AS live
          FROM claims WHERE campaign_id = $1) c
), twice AS (
    SELECT coalesce(sum(times - 1), 0)::bigint AS doubled_numbers
    FROM (SELECT count(*) AS times FROM claims
          WHERE campaign_id = $1 AND claimed_at IS NOT NULL AND given_back_at IS NULL
          GROUP BY number HAVING count(*) > 1) n
), twice_attempted AS (
    SELECT coalesce(sum(times - 1), 0)::bigint AS doubled_attempts
    FROM (SELECT count(*) AS times FROM claims
          WHERE campaign_id = $1 AND claimed_at IS NOT NULL AND given_back_at IS NULL
          GROUP BY user_id, attempt HAVING count(*) > 1) a
)
SELECT facts, in_outbox, claimed, claimed_in_outbox, given_back, given_back_in_outbox, change, given_back_since,
       live_by_history, facts_ever, generation, highest, numbers, live, live_ever, live_by_claims,
       doubled_numbers + doubled_attempts AS doubled,
       (SELECT count(*) FROM contradictions WHERE campaign_id = $1) AS contradictions,
       (SELECT count(*) FROM dead_letters WHERE campaign_id = $1) AS dead_letters
FROM history, now_rows, twice, twice_attempted
