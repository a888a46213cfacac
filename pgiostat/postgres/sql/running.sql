-- Statements in flight, the longest first.  Their reads are in no counter before they end, but for
-- what their backend has handed over of its reads: VACUUM and ANALYZE do after each table.
SELECT /* pgiostat */
    a.pid,
    a.usesysid::pg_catalog.int8,
    a.datid::pg_catalog.int8,
    {queryid},
    a.query_start,
    pg_catalog.date_part(
        'epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.query_start),
    a.wait_event_type OPERATOR(pg_catalog.||) ':' OPERATOR(pg_catalog.||) a.wait_event,
    pg_catalog.left(a.query, %(characters)s::pg_catalog.int4),
    {read_bytes}
FROM pg_catalog.pg_stat_activity AS a
WHERE a.state OPERATOR(pg_catalog.=) 'active'
  AND a.backend_type OPERATOR(pg_catalog.=) 'client backend'
  AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()
  AND a.query_start OPERATOR(pg_catalog.<)
      (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-)
       pg_catalog.make_interval(secs => %(seconds)s::pg_catalog.float8))
ORDER BY a.query_start
LIMIT %(most)s
