-- What a part of the users of campaign $1 hold: those above $2 up to $3 (null: all above). A user may hold $4 units.
SELECT coalesce(sum(greatest(live - $4, 0)), 0)::bigint AS above_limit, coalesce(sum(live - attempts), 0)::bigint AS doubled
FROM (SELECT count(*) AS live, count(DISTINCT attempt) AS attempts FROM claims
      WHERE campaign_id = $1 AND user_id > $2 AND ($3::text IS NULL OR user_id <= $3)
        AND claimed_at IS NOT NULL AND given_back_at IS NULL
      GROUP BY user_id) u
