-- When statements of servers were not counted, of intervals that began in a time.
SELECT
    f.server_id,
    f.ts,
    f.qualities,
    f.lost_us
FROM facts AS f
WHERE f.ts >= {since} AND f.ts < {until} AND {of_servers} AND f.lost_us > 0
ORDER BY f.ts, f.server_id
