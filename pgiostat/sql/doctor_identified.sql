SELECT /* pgiostat */ a.query_id IS NOT NULL
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
