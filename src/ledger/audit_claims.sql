-- What a part of the claims of campaign $1 says, in generations $2, as far as number $3. The part: numbers from $4 to below
-- $5, of all generations, so that a number that is live twice is seen. All figures can be added up.
SELECT count(*) FILTER (WHERE number <= $3) AS numbers,
       count(*) FILTER (WHERE number <= $3 AND live) AS live,
       count(*) FILTER (WHERE live) AS live_ever,
       -- Give-backs whose claim has not come yet count against the history's difference.
       count(*) FILTER (WHERE live) - count(*) FILTER (WHERE claimed_at IS NULL AND given_back_at IS NOT NULL)
           AS live_by_claims,
       count(*) FILTER (WHERE live) - count(DISTINCT number) FILTER (WHERE live) AS doubled
FROM (SELECT c.*, c.claimed_at IS NOT NULL AND c.given_back_at IS NULL AS live
      FROM unnest($2::integer[]) AS g (generation) CROSS JOIN LATERAL (
          SELECT * FROM claims
          WHERE campaign_id = $1 AND generation = g.generation AND number >= $4 AND number < $5) c) c
