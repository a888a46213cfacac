-- What a backend has handed over of its reads.
(SELECT pg_catalog.sum(b.read_bytes)::pg_catalog.int8
   FROM pg_catalog.pg_stat_get_backend_io(a.pid) AS b
  WHERE b.object OPERATOR(pg_catalog.<>) 'wal')
