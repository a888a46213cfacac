-- What each statement did in a time, nested ones last. Whole numbers: exact, in any order.
SELECT
    f.server_id,
    f.userid,
    f.dbid,
    f.queryid,
    f.masked,
    f.toplevel,
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
    CAST(SUM(f.traced_blks) AS BIGINT) AS traced_blocks,
    CAST(MAX(f.uncertain) AS BIGINT) AS uncertain
FROM (
{intervals}
) AS f
WHERE {of_servers}
GROUP BY f.server_id, f.userid, f.dbid, f.queryid, f.masked, f.toplevel
ORDER BY
    f.server_id,
    CASE WHEN f.toplevel = false THEN 1 ELSE 0 END,
    f.userid,
    f.dbid,
    f.queryid,
    f.masked,
    f.toplevel NULLS FIRST
