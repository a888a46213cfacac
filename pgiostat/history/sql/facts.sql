-- Rows of a table as they are.
SELECT {columns}
FROM facts AS f
WHERE f.ts >= {since} AND f.ts < {until} AND {of_servers}
ORDER BY f.ts, {order}
