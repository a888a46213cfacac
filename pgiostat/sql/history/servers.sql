-- The servers of a history, with the time that each was watched.
SELECT server_id, label,
       MIN(ts) AS since,
       MAX(ts) AS last,
       CAST(COUNT(*) AS BIGINT) AS samples,
       CAST(MAX(dur_us) AS BIGINT) AS longest_us
FROM sample
GROUP BY server_id, label
ORDER BY label, since, server_id
