-- Columns of views: a server that is newer than pgiostat may have others.
SELECT /* pgiostat */
    c.relname::pg_catalog.text AS view,
    pg_catalog.array_agg(a.attname::pg_catalog.text) AS columns
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
WHERE n.nspname OPERATOR(pg_catalog.=) 'pg_catalog'
  AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY['pg_stat_database', 'pg_stat_io']::pg_catalog.name[])
  AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
GROUP BY c.relname
