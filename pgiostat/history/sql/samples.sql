-- The samples of each step of a time, added up: of a whole time, or in buckets.
SELECT
    {bucket} AS bucket,
    f.server_id,
    f.qualities,
    MIN(f.ts) AS since,
    MAX({ends}) AS until,
    CAST(COUNT(*) AS BIGINT) AS samples,
    CAST(SUM(f.dur_us) AS BIGINT) AS dur_us,
    CAST(SUM(CASE WHEN f.server_blocks IS NULL THEN 0 ELSE f.statement_blocks END) AS BIGINT)
        AS statement_blocks,
    CAST(SUM(COALESCE(f.server_blocks, 0)) AS BIGINT) AS server_blocks,
    CAST(SUM(COALESCE(f.server_blocks, f.statement_blocks)) AS BIGINT) AS known_blocks,
    {reads},
    {earlier},
    CAST(SUM(f.unknown) AS BIGINT) AS unknown,
    CAST(SUM(f.own_us) AS BIGINT) AS own_us,
    CAST(SUM(COALESCE(f.lost_us, 0)) AS BIGINT) AS lost_us,
    CAST(SUM(f.evicted) AS BIGINT) AS evicted,
    MAX(f.block_size) AS block_size,
    MAX(f.dbid) AS dbid,
    MAX(f.version_num) AS version_num
FROM facts AS f
WHERE f.ts >= {since} AND f.ts < {until} AND {of_servers}
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
