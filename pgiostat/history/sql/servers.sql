-- The servers of a history, with the time that each was watched.
SELECT
    server_id,
    label,
    MIN(ts) AS since,
    MAX(CASE WHEN {sound} THEN {ends} ELSE ts END) AS until,
    CAST(COUNT(*) AS BIGINT) AS samples,
    CAST(MAX(CASE WHEN {sound} THEN COALESCE(lost_us, 0) ELSE 0 END) AS BIGINT) AS longest_lost_us,
    CAST(SUM(CASE WHEN {sound} THEN 0 ELSE 1 END) AS BIGINT) AS odd
FROM facts AS f
GROUP BY server_id, label
ORDER BY label, since, server_id
