-- Texts of statements that sessions run, or ran last: where the extension's cannot be read. One as
-- long as the server keeps was perhaps cut off.
SELECT /* pgiostat */ a.usesysid::pg_catalog.int8, a.datid::pg_catalog.int8, a.query_id, a.query
FROM pg_catalog.pg_stat_activity AS a
WHERE a.query_id OPERATOR(pg_catalog.=) ANY (%(queryids)s::pg_catalog.int8[])
  AND pg_catalog.octet_length(a.query)::pg_catalog.int8 OPERATOR(pg_catalog.<)
      (pg_catalog.pg_size_bytes(pg_catalog.current_setting('track_activity_query_size'))
       OPERATOR(pg_catalog.-) 1::pg_catalog.int8)
