-- What each database of a server read in a time.
SELECT
    server_id,
    datid,
    CAST(SUM(blks_read) AS BIGINT) AS blks_read,
    CAST(SUM(blks_hit) AS BIGINT) AS blks_hit
FROM facts AS f
WHERE ts >= {since} AND ts < {until} AND {of_servers}
GROUP BY server_id, datid
ORDER BY server_id, datid
