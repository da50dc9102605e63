-- A page of a search: the newest that match, ranked; then those of them that still are as they were indexed.
-- $1 which match, $2 how well, $3 the newest when the first page was read, $4 and $5 score and post at which the page before
-- ended, $6 how many, $7 how many are ranked.
WITH candidates AS MATERIALIZED (
    SELECT post_id, revision, document
    FROM post_search
    WHERE document @@ $1::text::tsquery AND post_id <= coalesce($3::bigint, 9223372036854775807)
    ORDER BY post_id DESC
    LIMIT $7
), ranked AS MATERIALIZED (
    SELECT post_id, revision, ts_rank('{0.1, 0.1, 0.4, 1.0}', document, $2::text::tsquery) AS score,
           max(post_id) OVER () AS newest
    FROM candidates
)
SELECT post_id, author_id, title, body, category, tags, posts.revision,
       floor(extract(epoch FROM published_at) * 1000)::bigint AS published_at_ms, score,
       coalesce($3::bigint, newest) AS newest
FROM ranked JOIN posts USING (post_id)
WHERE posts.revision = ranked.revision AND inspection = 'passed' AND deleted_at IS NULL
  AND ($4::real IS NULL OR (score, post_id) < ($4::real, $5::bigint))
ORDER BY score DESC, post_id DESC
LIMIT $6
