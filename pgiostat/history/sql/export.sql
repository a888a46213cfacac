-- What was counted, interval by interval, as it is.
SELECT
    {columns}
FROM facts AS f
JOIN servers AS v ON v.server_id = f.server_id
{joins}
WHERE f.ts >= {since} AND f.ts < {until} AND {of_servers}
ORDER BY f.ts, v.label, f.server_id, {order}
