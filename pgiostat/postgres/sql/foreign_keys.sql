-- Foreign keys of tables; those of partitions are their table's.
SELECT /* pgiostat */
    n.nspname::pg_catalog.text AS schemaname,
    c.relname::pg_catalog.text AS relname,
    ARRAY(SELECT a.attname::pg_catalog.text
            FROM pg_catalog.pg_attribute AS a
           WHERE a.attrelid OPERATOR(pg_catalog.=) k.conrelid
             AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey)
           ORDER BY a.attnum) AS columns,
    fn.nspname::pg_catalog.text AS foreign_schemaname,
    f.relname::pg_catalog.text AS foreign_relname,
    k.confdeltype OPERATOR(pg_catalog.=) 'c'::pg_catalog."char" AS cascades
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_class AS f ON f.oid OPERATOR(pg_catalog.=) k.confrelid
JOIN pg_catalog.pg_namespace AS fn ON fn.oid OPERATOR(pg_catalog.=) f.relnamespace
WHERE k.contype OPERATOR(pg_catalog.=) 'f'::pg_catalog."char"
  AND NOT c.relispartition AND NOT f.relispartition
  AND k.conrelid OPERATOR(pg_catalog.<>) k.confrelid
ORDER BY n.nspname, c.relname, k.conname
