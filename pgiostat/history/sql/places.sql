-- What groups of statements did in each step of a time; a place is the number of a group, and
-- statements that are in none have the place -1. Nested statements are in their callers' rows.
SELECT
    {bucket} AS bucket,
    f.server_id,
    COALESCE(p.place, -1) AS place,
    CAST(SUM(f.calls) AS BIGINT) AS calls,
    CAST(SUM(f.rows) AS BIGINT) AS rows,
    CAST(SUM(f.shared_blks_hit) AS BIGINT) AS shared_blks_hit,
    CAST(SUM(f.shared_blks_read) AS BIGINT) AS shared_blks_read,
    CAST(SUM(f.local_blks_read) AS BIGINT) AS local_blks_read,
    CAST(SUM(f.temp_blks_read) AS BIGINT) AS temp_blks_read,
    CAST(SUM(f.total_exec_time) AS BIGINT) AS total_exec_us,
    CAST(SUM(f.timed_read_us) AS BIGINT) AS read_us,
    CAST(SUM(f.timed_blks) AS BIGINT) AS timed_blocks,
    CAST(SUM(f.physical_bytes) AS BIGINT) AS physical_bytes,
    CAST(SUM(f.traced_blks) AS BIGINT) AS traced_blocks
FROM (
{intervals}
) AS f
LEFT JOIN places AS p ON p.sid = f.sid
WHERE {of_servers} AND (f.toplevel IS NULL OR f.toplevel)
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
