-- Partitions on all levels, with the partitioned table at the top.
SELECT /* pgiostat */
    n.nspname::pg_catalog.text AS schemaname,
    r.relname::pg_catalog.text AS relname,
    c.relname::pg_catalog.text AS partition
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_class AS r
  ON r.oid OPERATOR(pg_catalog.=) pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace
WHERE c.relispartition AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
ORDER BY n.nspname, r.relname, c.relname
