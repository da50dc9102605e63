-- What a part of the history says of campaign $1 in generation $2, as far as fact $3 and number $4; $5 to $6 is what the
-- outbox holds. The part: generation $7, facts from $8 to below $9. All figures can be added up.
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
       coalesce(max(fact_no), 0) AS highest
FROM (SELECT *, generation = $2 AND fact_no <= $3 AS mine, fact_no BETWEEN $5 AND $6 AS in_outbox
      FROM stock_history WHERE campaign_id = $1 AND generation = $7 AND fact_no >= $8 AND fact_no < $9) h
