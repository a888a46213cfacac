-- The servers of a history, with the time that each was watched.
SELECT s.server_id, s.label, w.since, s.ts AS last, s.dur_us, w.samples
FROM sample AS s
JOIN (SELECT server_id, label, MIN(ts) AS since, MAX(ts) AS last,
             CAST(COUNT(*) AS BIGINT) AS samples
        FROM sample
       GROUP BY server_id, label) AS w
  ON w.server_id = s.server_id AND w.label = s.label AND w.last = s.ts
ORDER BY s.label, w.since, s.server_id
