-- What each relation did in a time.
SELECT
    server_id,
    relid,
    CAST(SUM(blks_read) AS BIGINT) AS blks_read,
    CAST(SUM(blks_hit) AS BIGINT) AS blks_hit,
    CAST(MAX(CASE WHEN basis IN (0, 1) THEN 0 ELSE 1 END) AS BIGINT) AS uncertain
FROM facts AS f
WHERE ts >= {since} AND ts < {until} AND {of_servers}
GROUP BY server_id, relid
ORDER BY server_id, relid
