-- Names of relations, and to which table an index or a TOAST table belongs.
SELECT /* pgiostat */
    c.oid::int8 AS relid,
    coalesce(owner.oid, c.oid)::int8 AS owner,
    n.nspname::text AS schemaname,
    coalesce(owner.relname, c.relname)::text AS relname,
    CASE WHEN c.relkind IN ('r', 'm') THEN 'heap'
         WHEN c.relkind = 't' THEN 'toast'
         WHEN indexed.relkind = 't' THEN 'tidx'
         ELSE 'idx' END AS part
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
LEFT JOIN pg_catalog.pg_class AS indexed ON indexed.oid = i.indrelid
LEFT JOIN pg_catalog.pg_class AS toasted
       ON toasted.reltoastrelid = coalesce(indexed.oid, c.oid) AND toasted.reltoastrelid <> 0
LEFT JOIN pg_catalog.pg_class AS owner ON owner.oid = coalesce(toasted.oid, indexed.oid)
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = coalesce(owner.relnamespace, c.relnamespace)
WHERE c.oid = ANY(%(relids)s::oid[])
