-- NULL where our own session is hidden from the role that it works as.
SELECT /* pgiostat */ CASE WHEN a.backend_start IS NOT NULL THEN a.query_id IS NOT NULL END
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
