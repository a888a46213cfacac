-- Sizes of tables by their names, with their indexes and the first column of each.
SELECT /* pgiostat */
    n.nspname::pg_catalog.text,
    t.relname::pg_catalog.text,
    t.relpages,
    t.reltuples,
    t.relallvisible,
    i.relname::pg_catalog.text,
    i.relpages,
    pg_catalog.pg_get_indexdef(i.oid, 1, true)
FROM pg_catalog.pg_class AS t
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.relnamespace
LEFT JOIN pg_catalog.pg_index AS x ON x.indrelid OPERATOR(pg_catalog.=) t.oid
LEFT JOIN pg_catalog.pg_class AS i ON i.oid OPERATOR(pg_catalog.=) x.indexrelid
WHERE n.nspname OPERATOR(pg_catalog.=) ANY (%(schemas)s::pg_catalog.name[])
  AND t.relname OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.name[])
