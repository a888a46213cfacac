-- Statements in flight, the longest first.  Their reads are in no counter before they end, but for
-- what their backend has handed over of its reads: VACUUM and ANALYZE do after each table.
SELECT /* pgiostat */
    a.pid,
    a.usesysid::int8,
    a.datid::int8,
    {queryid},
    a.query_start,
    extract(epoch FROM clock_timestamp() - a.query_start)::float8,
    a.wait_event_type || ':' || a.wait_event,
    left(a.query, %(characters)s),
    {read_bytes}
FROM pg_catalog.pg_stat_activity AS a
WHERE a.state = 'active' AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid()
  AND a.query_start < clock_timestamp() - make_interval(secs => %(seconds)s)
ORDER BY a.query_start
LIMIT %(most)s
