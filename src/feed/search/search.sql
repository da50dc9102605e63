-- A page of a search. Each step does less than the one before, and none without a limit:
-- 1. the newest posts that have all tokens, wherever they stand: from the index alone, without reading documents, each of
--    which has to be fetched and unpacked. The planner takes that for nothing, and would walk through them in an order that
--    has an index: `age` has none;
-- 2. the newest of those in which the tokens stand as they should;
-- 3. these by rank; and in that order the posts themselves, as long as they still are as they were indexed.
--
-- $1 which tokens, $2 how they stand, $3 whether that is already said by $1, $4 how well they match, $5 the newest when the
-- first page was read, $6 and $7 score and post at which the page before ended, $8 how many posts, $9 how many are ranked,
-- $10 how many are looked at.
WITH candidates AS MATERIALIZED (
    SELECT post_id, revision, document
    FROM (
        SELECT post_id, post_id + 0 AS age
        FROM post_search
        WHERE document @@ $1::text::tsquery AND post_id <= coalesce($5::bigint, 9223372036854775807)
        ORDER BY age DESC
        LIMIT $10
    ) AS having_all
    CROSS JOIN LATERAL (
        SELECT revision, document FROM post_search WHERE post_search.post_id = having_all.post_id OFFSET 0
    ) AS found
    WHERE $3::boolean OR document @@ $2::text::tsquery
    ORDER BY age DESC
    LIMIT $9
), ranked AS (
    SELECT post_id, revision, ts_rank('{0.1, 0.1, 0.4, 1.0}', document, $4::text::tsquery) AS score,
           max(post_id) OVER () AS newest
    FROM candidates
)
SELECT post_id, author_id, title, body, category, tags, posts.revision,
       floor(extract(epoch FROM published_at) * 1000)::bigint AS published_at_ms, score,
       coalesce($5::bigint, newest) AS newest
FROM (
    SELECT post_id, revision, score, newest
    FROM ranked
    WHERE $6::real IS NULL OR (score, post_id) < ($6::real, $7::bigint)
    ORDER BY score DESC, post_id DESC
    OFFSET 0
) AS best JOIN posts USING (post_id)
WHERE posts.revision = best.revision AND inspection = 'passed' AND deleted_at IS NULL
ORDER BY score DESC, post_id DESC
LIMIT $8
