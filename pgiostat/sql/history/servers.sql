-- The servers of a history, with the time that each was watched.
SELECT
    server_id,
    label,
    MIN(ts) AS since,
    MAX({ends}) AS until,
    CAST(COUNT(*) AS BIGINT) AS samples
FROM facts AS f
GROUP BY server_id, label
ORDER BY label, since, server_id
