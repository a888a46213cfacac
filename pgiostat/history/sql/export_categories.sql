-- What each category did in each interval. Nested statements are in their callers' rows.
SELECT
    {version} AS schema_version,
    f.ts,
    f.dur_us,
    v.label AS server,
    CASE WHEN f.masked THEN 'hidden' ELSE COALESCE(t.category, 'no text yet') END AS category,
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
FROM facts AS f
JOIN servers AS v ON v.server_id = f.server_id
LEFT JOIN texts AS t
  ON t.server_id = f.server_id AND t.userid = f.userid AND t.dbid = f.dbid
 AND t.queryid = f.queryid
WHERE f.ts >= {since} AND f.ts < {until} AND {of_servers} AND (f.toplevel IS NULL OR f.toplevel)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 2, 4, 5
