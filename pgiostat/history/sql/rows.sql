-- How many rows of statements there are of each server.
SELECT
    server_id,
    CAST(COUNT(*) AS BIGINT) AS rows
FROM facts AS f
GROUP BY server_id
ORDER BY server_id
