-- What each table, or each index, counted in a time: sums of counters, and sizes as of its newest
-- interval.
SELECT
    server_id,
    dbid,
    {key},
    {columns},
    CAST(MAX(CASE WHEN basis IN (0, 1) THEN 0 ELSE 1 END) AS BIGINT) AS uncertain
FROM facts AS f
WHERE ts >= {since} AND ts < {until} AND {of_servers}
GROUP BY server_id, dbid, {key}
ORDER BY server_id, dbid, {key}
